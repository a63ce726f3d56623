"""Architectures of equal or similar cost: levels to pick from, and pairs to compare."""

import numpy as np

SHARED = 2
"""Mean number of architectures per cost from which the distinct costs themselves are the levels."""
LEAST, MOST = 3, 20
"""Least number of architectures in a quantile, and most quantiles."""
SIMILAR = 0.1
"""Relative difference up to which two distinct costs are compared where exactly equal ones are rare."""


def has_levels(cost: np.ndarray) -> bool:
    """Return whether exactly equal costs are common: two architectures per distinct cost on average, or more."""
    return len(cost) >= SHARED * len(np.unique(cost))


def cost_strata(cost: np.ndarray) -> np.ndarray:
    """Return the stratum of each architecture, (n,) whole numbers from 0 that grow with the cost.

    The strata are the distinct costs if exactly equal costs are common, else quantiles: at most 20 groups of at least
    3 architectures.
    """
    if has_levels(cost):
        return np.asarray(np.unique(cost, return_inverse=True)[1])
    bins = max(1, min(MOST, len(cost) // LEAST))
    edges = np.unique(np.quantile(cost, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.asarray(np.searchsorted(edges, cost, side="right"))


def round_robin(strata: np.ndarray, order: np.ndarray, count: int) -> list[int]:
    """Return the indices of up to `count` items, picked in turn from every stratum.

    If fewer are picked than there are strata, the strata are spread evenly and include the first and the last.

    Args:
        strata: (n,), stratum of each item.
        order: (n,), indices of the items, the best first: the order in which a stratum gives them.
        count: Number of items to pick.
    """
    queues = [list(order[strata[order] == stratum]) for stratum in np.unique(strata)]
    if count < len(queues):
        queues = [queues[i] for i in np.linspace(0, len(queues) - 1, count).round().astype(int)]
    picked: list[int] = []
    while len(picked) < min(count, len(order)):
        picked.extend(int(queue.pop(0)) for queue in queues if queue)
    return picked[:count]


def cost_levels(cost: np.ndarray) -> np.ndarray:
    """Return the highest cost of each stratum, ascending."""
    strata = cost_strata(cost)
    return np.array([cost[strata == stratum].max() for stratum in np.unique(strata)])


def cost_tolerance(cost: np.ndarray) -> float:
    """Return the relative difference up to which costs count as equal: 0 if equal costs are common, else 0.1."""
    return 0.0 if has_levels(cost) else SIMILAR


def similar(cost: np.ndarray, other: np.ndarray, tolerance: float) -> np.ndarray:
    """Return whether the higher cost exceeds the lower one by at most the tolerance, elementwise."""
    return np.asarray(np.maximum(cost, other) <= (1 + tolerance) * np.minimum(cost, other))


def count_similar_pairs(cost: np.ndarray, tolerance: float) -> int:
    """Return the number of pairs of architectures whose costs are similar."""
    ordered = np.sort(cost[np.isfinite(cost)])
    ends = np.searchsorted(ordered, (1 + tolerance) * ordered, side="right")
    return int((ends - np.arange(len(ordered)) - 1).sum())
