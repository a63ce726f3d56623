"""Rank correlations of a score with the accuracy, over a sample and all its bootstrap resamples at once.

Every function takes the scores x (n,), the accuracies y (n,) and how often each observation counts, (b, n), and
returns (b,) values; NaN where x or y is constant.
"""

from collections.abc import Iterator

import numpy as np
from scipy.stats import weightedtau

from zenfront.pipeline.analysis.strata import similar

BLOCK = 2_000_000
"""Number of pairs that are compared at once; bounds the memory."""


def kendall(
    x: np.ndarray, y: np.ndarray, counts: np.ndarray, cost: np.ndarray | None = None, tolerance: float = 0.0
) -> np.ndarray:
    """Return Kendall's τ-b in [-1, 1], of all pairs or of the pairs of similar cost.

    τ = (C - D) / sqrt((P - X) (P - Y)), with C concordant and D discordant of P pairs, of which X are tied in x and
    Y in y. A bootstrap value is a quadratic form in the counts.

    Args:
        x: Scores (n,).
        y: Accuracies (n,).
        counts: (b, n).
        cost: (n,); None: all pairs count.
        tolerance: Relative difference up to which the costs of a pair count as equal.

    Source: Kendall, Biometrika 33 (1945).
    """
    agreement, in_x, in_y = (np.zeros(len(counts)) for _ in range(3))
    for rows, order_x, order_y in _signs(x, y, cost, tolerance):
        weights = counts[:, rows]
        agreement += _form(weights, counts, order_x * order_y)
        in_x += _form(weights, counts, order_x * order_x)
        in_y += _form(weights, counts, order_y * order_y)
    with np.errstate(invalid="ignore"):
        return np.asarray(agreement / np.sqrt(in_x * in_y))


def _form(weights: np.ndarray, counts: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return sum_ij count_i block_ij count_j, (b,), for i in the block: whole numbers, exact."""
    return np.asarray(np.einsum("bi,bi->b", weights, counts @ block.T, dtype=np.float64))


def _signs(
    x: np.ndarray, y: np.ndarray, cost: np.ndarray | None, tolerance: float
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield the signs of the differences of all pairs, a block of rows at a time; 0 for pairs that do not count."""
    step = max(1, BLOCK // len(x))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        order_x, order_y = (np.sign(v[rows, None] - v[None, :]).astype(np.float32) for v in (x, y))
        if cost is not None:
            together = similar(cost[rows, None], cost[None, :], tolerance)
            order_x, order_y = order_x * together, order_y * together
        yield rows, order_x, order_y


def spearman(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return Spearman's ρ in [-1, 1]: Pearson's correlation of the mid-ranks."""
    ranks = [_midranks(v, counts) for v in (x, y)]
    a, b = (r - np.average(r, axis=1, weights=counts)[:, None] for r in ranks)
    with np.errstate(invalid="ignore"):
        return np.asarray((counts * a * b).sum(1) / np.sqrt((counts * a * a).sum(1) * (counts * b * b).sum(1)))


def _midranks(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mid-ranks (b, n) of the observations, each repeated as often as it counts."""
    order = np.argsort(x, kind="stable")
    starts = np.flatnonzero(np.diff(x[order], prepend=np.nan) != 0)
    tied = np.add.reduceat(counts[:, order].astype(np.float64), starts, axis=1)
    middle = np.cumsum(tied, axis=1) - (tied - 1) / 2
    which = np.searchsorted(x[order][starts], x)
    return np.asarray(middle[:, which])


def weighted_tau(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return Vigna's weighted τ in [-1, 1]: hyperbolic weights, so that the best count most."""
    values = []
    for often in counts.astype(int):
        drawn = np.repeat(np.arange(len(x)), often)
        constant = np.ptp(x[drawn]) == 0 or np.ptp(y[drawn]) == 0
        values.append(np.nan if constant else weightedtau(x[drawn], y[drawn]).statistic)
    return np.array(values)


def partial(xy: float, xz: float, yz: float) -> float | None:
    """Return Kendall's partial τ of x and y with z held fixed, from the three τ; None if z determines x or y."""
    rest = (1 - xz**2) * (1 - yz**2)
    return (xy - xz * yz) / rest**0.5 if rest > 0 else None


def overlap(x: np.ndarray, y: np.ndarray, k: int) -> float:
    """Return the share of the k best by y that are among the k best by x; ties at the edge count in proportion."""
    return float((_membership(x, k) * _membership(y, k)).sum() / k)


def _membership(x: np.ndarray, k: int) -> np.ndarray:
    """Return to what part each observation, (n,) in [0, 1], belongs to the k largest."""
    edge = np.sort(x)[-k]
    above, at = x > edge, x == edge
    return np.asarray(above + at * (k - above.sum()) / at.sum())
