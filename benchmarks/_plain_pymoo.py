"""pymoo's NSGA-II as its guide sets it up for integers; a baseline for `nsga2`."""

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.problems.static import StaticProblem

from zenfront.pipeline.algorithms import AlgorithmSpec, Problem
from zenfront.pipeline.objectives import losses, violations
from zenfront.pipeline.seeds import seed_for


class PlainPymoo:
    """pymoo's NSGA-II without canonical forms and without a memory of removed members: it repeats architectures."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        upper = np.array([len(level.values) - 1 for level in problem.space.levels.values()])
        self._genes = PymooProblem(
            n_var=len(upper), n_obj=len(problem.objectives), n_ieq_constr=1, xl=0 * upper, xu=upper, vtype=int
        )
        self._algorithm = NSGA2(
            pop_size=problem.population,
            sampling=IntegerRandomSampling(),
            crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            seed=seed_for(problem.seed, "plain pymoo"),
        )
        self._algorithm.setup(self._genes, termination=NoTermination())

    def ask(self, count):
        self._asked = self._algorithm.ask()
        return [self._problem.space.decode(x) for x in self._asked.get("X").astype(int)]

    def tell(self, scored):
        violation = violations(scored, self._problem.constraints)
        values = losses(scored, self._problem.objectives)
        Evaluator().eval(StaticProblem(self._genes, F=values, G=violation[:, None]), self._asked)
        self._algorithm.tell(infills=self._asked)


PLAIN_PYMOO = AlgorithmSpec(PlainPymoo, "pymoo's guide, Discrete Variables")
