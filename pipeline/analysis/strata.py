"""Groups of equal cost."""

import numpy as np

SHARED = 2
"""Architectures per cost level on average from which on the levels themselves are the strata."""
LEAST, MOST = 10, 20
"""Architectures in a quantile, and quantiles."""


def cost_strata(cost: np.ndarray) -> tuple[np.ndarray, bool]:
    """The stratum of each architecture (n,), and whether all in a stratum cost exactly the same.

    Where a space has few cost levels (two architectures each on average), they are the strata; else quantiles
    are: at most 20 groups of at least 10, within which the cost still differs a little.
    """
    levels, stratum = np.unique(cost, return_inverse=True)
    if len(cost) >= SHARED * len(levels):
        return stratum, True
    bins = max(1, min(MOST, len(cost) // LEAST))
    edges = np.unique(np.quantile(cost, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, cost, side="right"), False
