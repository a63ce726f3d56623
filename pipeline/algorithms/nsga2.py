"""NSGA-II (Deb et al., IEEE TEC 2002) by pymoo's ask and tell."""

from collections import deque
from collections.abc import Sequence

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.problems.static import StaticProblem

from pipeline.algorithms._algorithm import Algorithm, Problem
from pipeline.algorithms._genes import GeneMutation, GeneProblem, NeverTwice, UniformSampling
from pipeline.objectives import losses, violations
from pipeline.results import Scores
from pipeline.seeds import seed_for
from spaces import Architecture

TRIES = 100


class Nsga2:
    """Constraint domination, tournament selection, uniform crossover, one mutation per child on average.

    Failures are infeasible individuals, worse than any that violates a constraint: finite losses, violation > 0.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._genes = GeneProblem(problem)
        self._never_twice = NeverTwice(problem)
        self._in_flight: deque[Population] = deque()
        self._algorithm = NSGA2(
            pop_size=problem.population,
            sampling=UniformSampling(),
            crossover=UniformCrossover(prob=0.9),
            mutation=GeneMutation(),
            eliminate_duplicates=self._never_twice,
            seed=seed_for(problem.seed, "nsga2"),
        )
        self._algorithm.setup(self._genes, termination=NoTermination())

    def ask(self, count: int) -> list[Architecture]:
        """The next generation: sampled uniformly until the first is told, then bred."""
        algorithm = self._algorithm
        algorithm.n_offsprings = min(count, self._problem.population)
        bred = algorithm.ask() if algorithm.is_initialized else None
        algorithm.termination.force_termination = False  # pymoo ends where breeding found nothing new
        asked = self._fill(Population.empty() if bred is None else bred, algorithm.n_offsprings)
        self._never_twice.remember(asked)
        if len(asked):
            self._in_flight.append(asked)
        return [self._problem.space.decode(x) for x in asked.get("X")]

    def _fill(self, asked: Population, count: int) -> Population:
        """Adds uniform samples where breeding found too few new architectures."""
        for _ in range(TRIES):
            if len(asked) >= count:
                break
            sampled = UniformSampling().do(self._genes, count, random_state=self._algorithm.random_state)
            asked = Population.merge(asked, self._never_twice.do(sampled, asked))[:count]
        return asked

    def tell(self, scored: Sequence[Scores]) -> None:
        """Survival of the fittest among the population and the oldest generation in flight."""
        infills = self._in_flight.popleft()
        values = losses(scored, self._problem.objectives)
        violation = violations(scored, self._problem.constraints)
        static = StaticProblem(self._genes, F=values, G=violation[:, np.newaxis])
        Evaluator().eval(static, infills)
        self._algorithm.tell(infills=infills)


def ALGORITHM(problem: Problem) -> Algorithm:
    """NSGA-II on the problem."""
    return Nsga2(problem)
