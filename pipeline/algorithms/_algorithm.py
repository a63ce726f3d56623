"""What a search algorithm is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.objectives import Constraint, Objective
from pipeline.results import Scores
from spaces import Architecture, Space


@dataclass(frozen=True)
class Problem:
    """What is searched, and for what.

    Attributes:
        space: The search space.
        objectives: One or more.
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


MakeAlgorithm = Callable[[Problem], Algorithm]
