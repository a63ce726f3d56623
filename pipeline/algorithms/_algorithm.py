"""What a search algorithm is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.results import Scores
from zenfront.spaces import Architecture, Space


@dataclass(frozen=True)
class Problem:
    """What is searched, and for what.

    Attributes:
        space: The search space.
        objectives: As many as the algorithm takes.
        constraints: Any number.
        population: Candidates in a generation.
        seed: Root of the algorithm's randomness.
    """

    space: Space
    objectives: Sequence[Objective]
    constraints: Sequence[Constraint]
    population: int
    seed: int


class Algorithm(Protocol):
    """Deterministic in its seed and in the sequence of calls; knows nothing of time or workers."""

    def ask(self, count: int) -> list[Architecture]:
        """The next generation: at most `count` canonical architectures, none asked before.

        May be called again before the last generation is told. Fewer than `count`: no more were found; none: the
        space is exhausted.
        """

    def tell(self, scored: Sequence[Scores]) -> None:
        """The scores of the oldest generation not told yet, in the order in which it was asked."""


@dataclass(frozen=True)
class AlgorithmSpec:
    """A search algorithm as its module exports it: how one is made, and what it can take on.

    Attributes:
        make: Problem -> Algorithm, at its first generation.
        source: Paper or library, on one line; the module's docstring says more.
        least: Objectives that it needs.
        most: Objectives that it can take; None: any number.
        evaluations: Architectures that it can take, where asking grows too dear; None: any number.
    """

    make: Callable[[Problem], Algorithm]
    source: str
    least: int = 1
    most: int | None = None
    evaluations: int | None = None

    @property
    def objectives(self) -> str:
        """How many objectives it takes, in words."""
        if self.least == self.most:
            return str(self.least)
        return f"{self.least} or more" if self.most is None else f"{self.least} to {self.most}"
