"""Dominance on arrays of losses (lower is better), computed with pymoo and moocore."""

from collections.abc import Sequence

import numpy as np
from moocore import hypervolume as _hypervolume
from moocore import is_nondominated
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance

REFERENCE = 1.1


def front_indices(losses: np.ndarray, violation: np.ndarray | None = None) -> np.ndarray:
    """Return the indices of the feasible, non-dominated rows, ascending; equal rows are all kept.

    Args:
        losses: (n, m), finite.
        violation: (n,), 0 is feasible; None: all rows are feasible.
    """
    feasible = np.arange(len(losses)) if violation is None else np.flatnonzero(violation <= 0)
    if not len(feasible):
        return feasible
    return np.asarray(feasible[is_nondominated(losses[feasible], keep_weakly=True)])


def dominance(losses: np.ndarray) -> np.ndarray:
    """Return (n, n) bool whose ``[i, j]`` says that row i of the losses (n, m) dominates row j."""
    never_worse = (losses[:, None, :] <= losses[None, :, :]).all(2)
    return np.asarray(never_worse & (losses[:, None, :] < losses[None, :, :]).any(2))


def dominance_ranks(dominates: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the non-dominated rank of each row, from 1.

    The rank of a row is the smallest one that none of the rows dominating it has. Where dominance is transitive this
    is the rank of non-dominated sorting (Deb et al., 2002). Where it is only free of cycles, as with a tolerance,
    every row still has exactly one rank, no two rows of a rank dominate each other, and a row of rank r > 1 is
    dominated by a row of every rank below r: the rows of rank 1 are the kernel of the relation.

    Args:
        dominates: (n, n) bool; ``[i, j]``: row i dominates row j.
        order: (n,), the rows sorted so that each comes after all rows that dominate it.
    """
    ranks = np.zeros(len(order), dtype=int)
    for row in order:
        taken = np.bincount(ranks[dominates[:, row]], minlength=1) > 0
        taken[0] = True
        ranks[row] = len(taken) if taken.all() else int(taken.argmin())
    return ranks


def crowding_distance(losses: np.ndarray) -> np.ndarray:
    """Return the crowding distance (n,) of the rows of one front (n, m), infinity at extremes (Deb et al., 2002)."""
    return np.asarray(calc_crowding_distance(losses), dtype=np.float64)


def scaled_to_unit(losses: np.ndarray) -> np.ndarray:
    """Return the losses (n, m) with each column scaled to [0, 1]; a constant column becomes 0."""
    low, high = losses.min(0), losses.max(0)
    return np.asarray((losses - low) / np.where(high > low, high - low, 1.0))


def epsilon_net(losses: np.ndarray) -> np.ndarray:
    """Return the place (n,) of each row in a farthest-first traversal of the rows, from 0.

    The traversal starts at the row with the lowest first loss and goes on with the row that is farthest from all
    visited ones (Euclidean, every loss scaled to [0, 1] over the rows). The first k rows are spread over all of them
    for every k. A tie goes to the row whose losses come first in lexicographic order, so that the places do not
    depend on the order of the rows; equal rows share a place.

    Args:
        losses: (n >= 1, m), finite.

    Source: the epsilon-net of Schmucker et al., 2021, arXiv:2106.12639, sec. 3, after Clarkson, 2005. Deviation: the
        first row is the best in the first objective instead of one at random.
    """
    rows, inverse = np.unique(losses, axis=0, return_inverse=True)  # sorted lexicographically
    points = scaled_to_unit(rows)
    places = np.zeros(len(points), dtype=int)
    nearest, current = np.full(len(points), np.inf), 0
    for place in range(len(points)):
        places[current] = place
        nearest = np.minimum(nearest, np.linalg.norm(points - points[current], axis=1))
        nearest[current] = -1.0  # a visited row is not visited again, even if rounding makes another coincide with it
        current = int(nearest.argmax())
    return places[inverse.reshape(-1)]


def positive_columns(costs: np.ndarray) -> np.ndarray:
    """Return (c,) bool: the columns of the costs (n, c) that a logarithmic axis can show."""
    return np.asarray((costs > 0).all(0))


def cost_axis(costs: np.ndarray, logarithmic: np.ndarray) -> np.ndarray:
    """Return the costs (n, c) on their axes: the logarithm of the columns for which `logarithmic` (c,) is true."""
    return np.where(logarithmic, np.log(np.where(logarithmic, costs, 1.0)), costs)


def hypervolume(losses: np.ndarray, reference: Sequence[float] | np.ndarray) -> float:
    """Return the volume dominated by the rows (n, m) below the reference point (m,); rows beyond it add nothing.

    Rows that are not finite never reach moocore, which crashes on some of them.
    """
    reference = np.asarray(reference, dtype=np.float64)
    inside = losses[np.isfinite(losses).all(1) & (losses < reference).all(1)]
    return float(_hypervolume(inside, ref=reference)) if len(inside) else 0.0


def normalised_hypervolume(losses: np.ndarray, ideal: Sequence[float], nadir: Sequence[float]) -> float:
    """Return the hypervolume (>= 0, higher is better) in units of a box: `hypervolume` in generations.jsonl.

    Every objective is scaled so that the box reaches from 0 (ideal) to 1 (nadir), and the reference point is 1.1
    in each: with m objectives the ideal point alone has 1.1 ** m, and points that are better than it have more.
    A side of length zero counts as 1. The box is that of the first front that extends in every objective
    (`bounding_box` of that front), so that the values of one run can be compared over time.

    Args:
        losses: (n, m), lower is better; rows that are not finite add nothing.
        ideal: (m,), the lowest losses of the box.
        nadir: (m,), the highest losses of the box.
    """
    low = np.asarray(ideal, dtype=np.float64)
    span = np.asarray(nadir, dtype=np.float64) - low
    scaled = (losses - low) / np.where(span > 0, span, 1.0)
    return hypervolume(scaled, np.full(len(low), REFERENCE))


def bounding_box(losses: np.ndarray) -> tuple[list[float], list[float]]:
    """Return ideal and nadir, (m,) each: the lowest and the highest losses of the rows (n >= 1, m) of a front."""
    return losses.min(0).tolist(), losses.max(0).tolist()


def coverage(losses: np.ndarray, others: np.ndarray) -> float:
    """Return C(A, B) in [0, 1]: the share of the rows of B that a row of A weakly dominates (Zitzler and Thiele, 1999).

    Args:
        losses: A, (n, m), lower is better.
        others: B, (k >= 1, m).
    """
    weakly = (losses[:, None, :] <= others[None, :, :]).all(2)
    return float(weakly.any(0).mean())
