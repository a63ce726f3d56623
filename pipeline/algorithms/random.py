"""Uniform sampling without replacement: what every other algorithm is to be compared with."""

from collections.abc import Sequence

from pipeline.algorithms._algorithm import Method, Problem
from pipeline.algorithms._asked import Asked
from pipeline.results import Scores
from pipeline.seeds import numpy_generator
from spaces import Architecture


class Random:
    """Every gene from its distribution; learns nothing."""

    def __init__(self, problem: Problem) -> None:
        self._asked = Asked(problem.space, numpy_generator(problem.seed, "random"))

    def ask(self, count: int) -> list[Architecture]:
        """New architectures, whatever was told."""
        return self._asked.sample(count)

    def tell(self, scored: Sequence[Scores]) -> None:
        """Takes no note."""


ALGORITHM = Method(Random, "uniform sampling without replacement; the baseline")
