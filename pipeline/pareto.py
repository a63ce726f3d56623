"""Dominance on arrays of losses (lower is better), over pymoo and moocore."""

from collections.abc import Sequence

import numpy as np
from moocore import hypervolume as _hypervolume
from moocore import is_nondominated
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance

REFERENCE = 1.1


def front_indices(losses: np.ndarray, violation: np.ndarray | None = None) -> np.ndarray:
    """Indices of the feasible, non-dominated rows, ascending; of equal rows all are kept.

    Args:
        losses: (n, m), finite.
        violation: (n,), 0 is feasible; None: all are.
    """
    feasible = np.arange(len(losses)) if violation is None else np.flatnonzero(violation <= 0)
    if not len(feasible):
        return feasible
    return np.asarray(feasible[is_nondominated(losses[feasible], keep_weakly=True)])


def crowding_distance(losses: np.ndarray) -> np.ndarray:
    """Crowding distance (n,) of the rows of one front (n, m); extreme points have infinity (Deb et al., 2002)."""
    return np.asarray(calc_crowding_distance(losses), dtype=np.float64)


def hypervolume(losses: np.ndarray, reference: Sequence[float] | np.ndarray) -> float:
    """Volume dominated by the rows (n, m) below the reference point (m,); rows beyond it add nothing.

    Rows that are not finite never reach moocore, which crashes on some of them.
    """
    reference = np.asarray(reference, dtype=np.float64)
    inside = losses[np.isfinite(losses).all(1) & (losses < reference).all(1)]
    return float(_hypervolume(inside, ref=reference)) if len(inside) else 0.0


def normalised_hypervolume(losses: np.ndarray, ideal: Sequence[float], nadir: Sequence[float]) -> float:
    """Hypervolume (>= 0, higher is better) in units of a box: what `hypervolume` in generations.jsonl means.

    Every objective is scaled so that the box reaches from 0 (ideal) to 1 (nadir), and the reference point is 1.1
    in each: m objectives give 1.1 ** m for the ideal point alone, and more for points that are better than it.
    A side of length zero counts as 1. The box is that of the first generation with a feasible front
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
    """Ideal and nadir, (m,) each: the lowest and the highest losses of the rows (n >= 1, m) of a front."""
    return losses.min(0).tolist(), losses.max(0).tolist()


def coverage(losses: np.ndarray, others: np.ndarray) -> float:
    """C(A, B) in [0, 1]: the share of the rows of B that a row of A weakly dominates (Zitzler and Thiele, 1999).

    Args:
        losses: A, (n, m), lower is better.
        others: B, (k >= 1, m).
    """
    weakly = (losses[:, None, :] <= others[None, :, :]).all(2)
    return float(weakly.any(0).mean())
