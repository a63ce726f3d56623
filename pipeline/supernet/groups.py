"""Groups of architectures that share weights among themselves alone."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture, Space


def form_groups(
    space: Space, architectures: Sequence[Architecture], count: int, grouping: str, seed: int
) -> list[list[int]]:
    """Divide architectures into groups of equal size.

    Args:
        space: Their space.
        architectures: The architectures.
        count: Number of groups.
        grouping: ``random``; ``lexicographic``, blocks of neighbours in the order of the levels of the genes;
            ``distance``, in that order each first one with those that differ from it in the fewest genes.
        seed: Seed of random groups.

    Returns:
        Indices of the architectures of each group, ascending.

    Raises:
        UserError: The groups do not divide the architectures.

    Source: Zhang et al., 2020, arXiv:2001.01431, sec. 5: at random and by similarity (lexicographic).
    """
    n = len(architectures)
    if n % count:
        divisors = [str(d) for d in range(1, n + 1) if n % d == 0]
        raise UserError(
            f"supernet.groups: groups of equal size need `architectures % groups == 0`, but got (architectures={n}, "
            f"groups={count}). Possible are {', '.join(divisors)}."
        )
    levels = np.array([space.encode(architecture) for architecture in architectures])
    groups = GROUPINGS[grouping](levels, n // count, seed)
    return [sorted(int(index) for index in group) for group in groups]


def _random(levels: np.ndarray, size: int, seed: int) -> list[np.ndarray]:
    return list(numpy_generator(seed, "groups").permutation(len(levels)).reshape(-1, size))


def _lexicographic(levels: np.ndarray, size: int, seed: int) -> list[np.ndarray]:
    return list(np.lexsort(levels.T[::-1]).reshape(-1, size))


def _nearest(levels: np.ndarray, size: int, seed: int) -> list[np.ndarray]:
    left, groups = np.lexsort(levels.T[::-1]), []
    while len(left):
        different = (levels[left] != levels[left[0]]).sum(1)
        chosen = np.argsort(different, kind="stable")[:size]
        groups.append(left[chosen])
        left = np.delete(left, chosen)
    return groups


GROUPINGS: Mapping[str, Callable[[np.ndarray, int, int], list[np.ndarray]]] = MappingProxyType(
    {"random": _random, "lexicographic": _lexicographic, "distance": _nearest}
)
