"""Uniform sampling without replacement: what every other algorithm is to be compared with."""

from collections.abc import Sequence

from zenfront.pipeline.algorithms._algorithm import AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._seen_architectures import SeenArchitectures
from zenfront.pipeline.results import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture


class Random:
    """Every gene from its distribution; learns nothing."""

    def __init__(self, problem: Problem) -> None:
        self._asked = SeenArchitectures(problem.space, numpy_generator(problem.seed, "random"))

    def ask(self, count: int) -> list[Architecture]:
        """New architectures, whatever was told."""
        return self._asked.sample(count)

    def tell(self, scored: Sequence[Scores]) -> None:
        """Takes no note."""


ALGORITHM = AlgorithmSpec(Random, "uniform sampling without replacement; the baseline")
