"""Uniform sampling without replacement: the baseline of every other algorithm."""

from collections.abc import Sequence

from zenfront.pipeline.algorithms._algorithm import AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._seen_architectures import SeenArchitectures
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture


class Random:
    """Random search: samples every gene from its distribution."""

    def __init__(self, problem: Problem) -> None:
        self._asked = SeenArchitectures(problem.space, numpy_generator(problem.seed, "random"), problem.start)

    def ask(self, count: int) -> list[Architecture]:
        """Return new architectures, independent of all scores."""
        return self._asked.sample(count)

    def tell(self, scored: Sequence[Scores]) -> None:
        """Ignore the scores."""


ALGORITHM = AlgorithmSpec(Random, "uniform sampling without replacement; the baseline")
