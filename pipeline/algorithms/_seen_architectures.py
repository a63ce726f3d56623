"""What was asked, and uniform samples of what was not."""

import numpy as np

from zenfront.spaces import Architecture, Space

TRIES = 100


class SeenArchitectures:
    """The architectures of a space that an algorithm has asked; none is asked twice."""

    def __init__(self, space: Space, generator: np.random.Generator) -> None:
        self._space = space
        self._generator = generator
        self._asked: set[Architecture] = set()

    def add(self, architecture: Architecture) -> bool:
        """Marks a canonical architecture as asked; returns whether it is new."""
        new = architecture not in self._asked
        self._asked.add(architecture)
        return new

    def sample(self, count: int) -> list[Architecture]:
        """Up to `count` new ones, now asked: fewer where 100 draws for each do not find more."""
        found: list[Architecture] = []
        for _ in range(TRIES * count):
            if len(found) == count:
                break
            architecture = self._space.sample(self._generator)
            if self.add(architecture):
                found.append(architecture)
        return found
