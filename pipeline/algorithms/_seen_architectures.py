"""The set of architectures that a search has seen, and uniform sampling outside of it."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from zenfront.spaces import Architecture, Space

TRIES = 100


class SeenArchitectures:
    """The architectures of a space that `ask` has returned, so that none is returned twice.

    Args:
        space: The space.
        generator: Source of the samples.
        start: Architectures that are returned before any sample.
    """

    def __init__(self, space: Space, generator: np.random.Generator, start: Sequence[Architecture] = ()) -> None:
        self._space = space
        self._generator = generator
        self.start = deque(start)
        self._asked: set[Architecture] = set()

    def add(self, architecture: Architecture) -> bool:
        """Mark a canonical architecture as seen; return whether it is new."""
        new = architecture not in self._asked
        self._asked.add(architecture)
        return new

    def sample(self, count: int) -> list[Architecture]:
        """Return up to `count` new architectures and mark them as seen: what is left of `start`, then samples.

        Fewer are returned if 100 draws per architecture do not find enough.
        """
        found: list[Architecture] = []
        while self.start and len(found) < count:
            if self.add(self.start[0]):
                found.append(self.start[0])
            self.start.popleft()
        for _ in range(TRIES * count):
            if len(found) == count:
                break
            architecture = self._space.sample(self._generator)
            if self.add(architecture):
                found.append(architecture)
        return found
