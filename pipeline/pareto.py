"""Dominance on arrays of losses (lower is better), over pymoo and moocore."""

from collections.abc import Sequence

import numpy as np
from moocore import hypervolume as _hypervolume
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting


def front_indices(losses: np.ndarray, violation: np.ndarray | None = None) -> np.ndarray:
    """Indices of the feasible, non-dominated rows, ascending; of equal rows all are kept.

    Args:
        losses: (n, m), finite.
        violation: (n,), 0 is feasible; None: all are.
    """
    feasible = np.arange(len(losses)) if violation is None else np.flatnonzero(violation <= 0)
    if not len(feasible):
        return feasible
    first = NonDominatedSorting().do(losses[feasible], only_non_dominated_front=True)
    return np.sort(feasible[first])


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
