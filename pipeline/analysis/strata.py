"""Groups of architectures of equal or similar cost."""

import numpy as np

SHARED = 2
"""Mean number of architectures per cost level from which the levels themselves are the strata."""
LEAST, MOST = 10, 20
"""Least number of architectures in a quantile, and most quantiles."""


def cost_strata(cost: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the stratum of each architecture (n,), and whether all architectures of a stratum cost exactly the same.

    If there are few cost levels (at least two architectures each on average), the levels are the strata. Else the
    strata are quantiles: at most 20 groups of at least 10 architectures, within which the cost differs.
    """
    levels, stratum = np.unique(cost, return_inverse=True)
    if len(cost) >= SHARED * len(levels):
        return stratum, True
    bins = max(1, min(MOST, len(cost) // LEAST))
    edges = np.unique(np.quantile(cost, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, cost, side="right"), False
