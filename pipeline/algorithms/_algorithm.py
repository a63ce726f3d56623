"""The interface of a search algorithm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.spaces import Architecture, Space

Operators = Literal["by_kind", "uniform"]


@dataclass(frozen=True)
class Problem:
    """A search problem: the space, the objectives and the constraints.

    Attributes:
        space: The search space.
        objectives: Objectives; an `AlgorithmSpec` states how many its algorithm supports.
        constraints: Constraints, any number.
        population: Number of candidates in a generation.
        seed: Root seed of the algorithm's randomness.
        start: Canonical architectures with which the first generation begins, each once; the rest of it is sampled.
        operators: Crossover and mutation of the genetic algorithms.
    """

    space: Space
    objectives: Sequence[Objective]
    constraints: Sequence[Constraint]
    population: int
    seed: int
    start: Sequence[Architecture] = ()
    operators: Operators = "by_kind"


class Algorithm(Protocol):
    """Interface of a search algorithm.

    The result is determined by the seed and the sequence of calls; it does not depend on time or on workers.
    """

    def ask(self, count: int) -> list[Architecture]:
        """Return the next generation: at most `count` canonical architectures, none of which was returned before.

        It may be called again before the scores of the last generation are reported. A generation is shorter than
        `count` if no more new architectures were found, and empty if the space is exhausted.
        """

    def tell(self, scored: Sequence[Scores]) -> None:
        """Report the scores of the oldest generation in flight, in the order in which `ask` returned it."""


@dataclass(frozen=True)
class AlgorithmSpec:
    """A search algorithm as its module exports it: its constructor and its limits.

    Attributes:
        make: Problem -> Algorithm before its first generation.
        source: Paper or library, on one line; the module's docstring gives details.
        least: Minimum number of objectives.
        most: Maximum number of objectives; None for no limit.
        evaluations: Maximum number of evaluations, for algorithms whose proposals become too expensive; None for no
            limit.
    """

    make: Callable[[Problem], Algorithm]
    source: str
    least: int = 1
    most: int | None = None
    evaluations: int | None = None

    @property
    def objectives(self) -> str:
        """Number of supported objectives, in words."""
        if self.least == self.most:
            return str(self.least)
        return f"{self.least} or more" if self.most is None else f"{self.least} to {self.most}"
