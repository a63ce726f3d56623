"""Evaluation of a fixed list of architectures in place of a search."""

from collections import deque
from collections.abc import Iterable, Sequence

from zenfront.pipeline.results.stage_rows import Scores
from zenfront.spaces import Architecture


class FixedList:
    """Algorithm that returns the given architectures in their order, each once.

    Args:
        architectures: Canonical and distinct architectures.
    """

    def __init__(self, architectures: Iterable[Architecture]) -> None:
        self._left = deque(architectures)

    def ask(self, count: int) -> list[Architecture]:
        """Return the next architectures of the list."""
        return [self._left.popleft() for _ in range(min(count, len(self._left)))]

    def tell(self, scored: Sequence[Scores]) -> None:
        """Ignore the scores: the list is fixed."""
