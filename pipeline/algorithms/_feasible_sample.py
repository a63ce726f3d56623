"""Uniform sample of the feasible part of a space, in place of a search."""

from collections.abc import Sequence

from zenfront.pipeline.algorithms._algorithm import Problem
from zenfront.pipeline.algorithms._seen_architectures import SeenArchitectures
from zenfront.pipeline.objectives import violations
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture


class FeasibleSample:
    """Algorithm that samples every gene from its distribution until enough feasible architectures are found.

    Args:
        problem: The search problem.
        count: Number of feasible architectures after which it ends.
    """

    def __init__(self, problem: Problem, count: int) -> None:
        self._asked = SeenArchitectures(problem.space, numpy_generator(problem.seed, "feasible sample"))
        self._constraints = problem.constraints
        self._missing = count

    def ask(self, count: int) -> list[Architecture]:
        """Return new architectures, or none when enough feasible ones are known."""
        return self._asked.sample(count) if self._missing > 0 else []

    def tell(self, scored: Sequence[Scores]) -> None:
        """Count the feasible architectures."""
        self._missing -= int((violations(scored, self._constraints) <= 0).sum())
