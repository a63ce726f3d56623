"""Ask-and-tell adapter of pymoo's genetic algorithms."""

import warnings
from collections import deque
from collections.abc import Sequence

import numpy as np
from pymoo.algorithms.base.genetic import GeneticAlgorithm
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.problems.static import StaticProblem

from zenfront.pipeline.algorithms._algorithm import Problem
from zenfront.pipeline.algorithms._genes import (
    EliminateSeen,
    GeneCrossover,
    GeneMutation,
    GeneProblem,
    GeometricMutation,
    UniformSampling,
)
from zenfront.pipeline.objectives import losses, violations
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import seed_for
from zenfront.spaces import Architecture

TRIES = 100


class Genetic:
    """Genetic algorithm with operators by the kind of gene and one mutation per child on average.

    All other operators are those of the pymoo algorithm. Failed architectures enter it as infeasible individuals with
    finite losses and a violation larger than that of any architecture that exceeds a constraint.

    Args:
        problem: The search problem.
        name: Name under which the seed of the randomness is derived.
        algorithm: Class of the pymoo algorithm.
        **settings: Further arguments of that class.
    """

    def __init__(self, problem: Problem, name: str, algorithm: type[GeneticAlgorithm], **settings: object) -> None:
        self._problem = problem
        self._genes = GeneProblem(problem)
        self._seen = EliminateSeen(problem)
        self._in_flight: deque[Population] = deque()
        by_kind = problem.operators == "by_kind"
        self._algorithm = algorithm(
            pop_size=problem.population,
            sampling=UniformSampling(),
            crossover=GeneCrossover() if by_kind else UniformCrossover(prob=0.5),
            mutation=GeneMutation() if by_kind else GeometricMutation(),
            eliminate_duplicates=self._seen,
            seed=seed_for(problem.seed, name),
            **settings,
        )
        self._algorithm.setup(self._genes, termination=NoTermination())

    def ask(self, count: int) -> list[Architecture]:
        """Return the next generation: `start` and uniform samples until one has been scored, then children."""
        algorithm = self._algorithm
        algorithm.n_offsprings = min(count, self._problem.population)
        bred = algorithm.ask() if algorithm.is_initialized else None
        algorithm.termination.force_termination = False  # pymoo terminates when breeding finds nothing new
        asked = self._fill(self._start(algorithm.n_offsprings) if bred is None else bred, algorithm.n_offsprings)
        self._seen.remember(asked)
        if len(asked):
            self._in_flight.append(asked)
        return [individual.data["architecture"] for individual in asked]

    def _start(self, count: int) -> Population:
        """Return up to `count` of the problem's `start`, in its order."""
        genes = np.array([self._problem.space.encode(architecture) for architecture in self._problem.start])
        return self._seen.do(Population.new(X=genes))[:count] if len(genes) else Population.empty()

    def _fill(self, asked: Population, count: int) -> Population:
        """Add uniform samples if breeding found fewer than `count` new architectures."""
        for _ in range(TRIES):
            if len(asked) >= count:
                break
            sampled = UniformSampling().do(self._genes, count, random_state=self._algorithm.random_state)
            asked = Population.merge(asked, self._seen.do(sampled, asked))[:count]
        return asked

    def tell(self, scored: Sequence[Scores]) -> None:
        """Select the survivors among the population and the oldest generation in flight."""
        infills = self._in_flight.popleft()
        values = losses(scored, self._problem.objectives)
        violation = violations(scored, self._problem.constraints)
        static = StaticProblem(self._genes, F=values, G=violation[:, np.newaxis])
        Evaluator().eval(static, infills)
        with warnings.catch_warnings():  # pymoo's NSGA-III turns all warnings off
            self._algorithm.tell(infills=infills)
