"""pymoo's genetic algorithms, asked and told by generations."""

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
from zenfront.pipeline.algorithms._genes import GeneMutation, GeneProblem, NeverTwice, UniformSampling
from zenfront.pipeline.objectives import losses, violations
from zenfront.pipeline.results import Scores
from zenfront.pipeline.seeds import seed_for
from zenfront.spaces import Architecture

TRIES = 100
CROSSOVER = 0.5  # of the couples; with 0.9, the usual, uniform crossover breaks up cells (benchmarks/search.py)


class Genetic:
    """Uniform crossover of half the couples, one mutation per child on average; the rest is the algorithm's choice.

    Failures are infeasible individuals, worse than any that violates a constraint: finite losses, violation > 0.

    Args:
        problem: What is searched.
        name: Names the randomness.
        algorithm: pymoo's class.
        **settings: Its further arguments.
    """

    def __init__(self, problem: Problem, name: str, algorithm: type[GeneticAlgorithm], **settings: object) -> None:
        self._problem = problem
        self._genes = GeneProblem(problem)
        self._never_twice = NeverTwice(problem)
        self._in_flight: deque[Population] = deque()
        self._algorithm = algorithm(
            pop_size=problem.population,
            sampling=UniformSampling(),
            crossover=UniformCrossover(prob=CROSSOVER),
            mutation=GeneMutation(),
            eliminate_duplicates=self._never_twice,
            seed=seed_for(problem.seed, name),
            **settings,
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
        return [individual.data["architecture"] for individual in asked]

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
        with warnings.catch_warnings():  # NSGA-III switches all warnings off
            self._algorithm.tell(infills=infills)
