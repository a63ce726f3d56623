"""No search: a given list is asked, in its order."""

from collections import deque
from collections.abc import Iterable, Sequence

from zenfront.pipeline.results import Scores
from zenfront.spaces import Architecture


class FixedList:
    """Asks these architectures, each once.

    Args:
        architectures: Canonical and distinct.
    """

    def __init__(self, architectures: Iterable[Architecture]) -> None:
        self._left = deque(architectures)

    def ask(self, count: int) -> list[Architecture]:
        """The next of them."""
        return [self._left.popleft() for _ in range(min(count, len(self._left)))]

    def tell(self, scored: Sequence[Scores]) -> None:
        """Nothing is learnt from scores."""
