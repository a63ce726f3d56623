"""Agreement of rankings, with each other and with the ground truth.

A ranking is given by one value per architecture, higher is better, such as the accuracy under shared weights. Equal
values share a place: τ is Kendall's τ-b.

Source: Zhang et al., Deeper insights into weight sharing, 2020, arXiv:2001.01431, sec. 3.
"""

from dataclasses import dataclass
from math import comb

import numpy as np
from scipy.stats import rankdata

from zenfront.pipeline.analysis.assessment import is_top
from zenfront.pipeline.errors import UserError

BLOCK = 2_000_000
"""Number of signs that are held at once; bounds the memory."""
LEAST_IN_TOP = 5
"""Number of architectures in the best tenth below which τ among them is undefined."""


def tau_matrix(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Kendall's τ-b of each ranking with each other one, in [-1, 1]; NaN where a ranking is constant.

    τ_ab = sum_{i<j} s_a s_b / sqrt(sum s_a² sum s_b²), with s the sign of the difference of the values i and j. It is
    `correlation.kendall` without a bootstrap, for all pairs of rankings at once.

    Args:
        first: (a, n).
        second: (b, n).

    Returns:
        (a, b).
    """
    agreement, untied_first, untied_second = 0.0, np.zeros(len(first)), np.zeros(len(second))
    step = max(1, BLOCK // (max(len(first), len(second)) * first.shape[1]))
    for start in range(0, first.shape[1], step):
        a, b = (_signs(values, slice(start, start + step)) for values in (first, second))
        agreement = agreement + a @ b.T
        untied_first, untied_second = untied_first + (a * a).sum(1), untied_second + (b * b).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(agreement / np.sqrt(np.outer(untied_first, untied_second)))


def _signs(values: np.ndarray, rows: slice) -> np.ndarray:
    """Return the signs of the differences of some values of each ranking to all of its values, (a, pairs)."""
    return np.asarray(np.sign(values[:, rows, None] - values[:, None, :])).reshape(len(values), -1)


def gt_tau(rankings: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return GT-Tau, the τ-b of each ranking (m, n) with the ground truth (n,); (m,), NaN for a constant ranking."""
    return np.asarray(tau_matrix(rankings, truth[None])[:, 0])


def top_tau(rankings: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the τ-b of each ranking (m, n) with the truth (n,) among the best tenth by the truth.

    Returns:
        (m,); NaN if the best tenth has fewer than 5 architectures or equal values only.
    """
    best = is_top(truth)
    return gt_tau(rankings[:, best], truth[best]) if best.sum() >= LEAST_IN_TOP else np.full(len(rankings), np.nan)


def best_rank(rankings: np.ndarray, truth: np.ndarray, count: int) -> np.ndarray:
    """Return TnR, the best rank by the ground truth among the `count` first of each ranking.

    Where equal values leave open which ones are first, it is the expected rank over all choices.

    Args:
        rankings: (m, n).
        truth: (n,).
        count: Number n of "TnR", from 1; at most all are taken.

    Returns:
        (m,), from 1 for the best architecture.
    """
    ranks = rankdata(-truth, method="min")
    return np.array([_expected_best(values, ranks, min(count, len(truth))) for values in rankings])


def _expected_best(values: np.ndarray, ranks: np.ndarray, count: int) -> float:
    """Return E[min of the ranks of the first `count`]: those above the edge, and a random choice of those at it."""
    edge = np.sort(values)[-count]
    above = ranks[values > edge]
    least = above.min() if len(above) else np.inf
    tied, chosen = np.sort(ranks[values == edge]), count - len(above)
    ways = [comb(len(tied) - place - 1, chosen - 1) for place in range(len(tied))]
    return float(np.dot(np.minimum(tied, least), ways) / comb(len(tied), chosen))


@dataclass(frozen=True)
class LastSteps:
    """Agreement of the rankings at the last k steps of one run with the ground truth.

    Attributes:
        mean: GT-Tau-Mean-k, the mean of GT-Tau over the steps; NaN if all their rankings are constant.
        sd: GT-Tau-Std-k, their standard deviation (divided by k).
        of_mean: GT-Tau of the mean values over the steps, one ranking.
    """

    mean: float
    sd: float
    of_mean: float


def last_steps(steps: np.ndarray, truth: np.ndarray, k: int) -> LastSteps:
    """Compare the rankings at the last k steps, and their mean, with the truth.

    Args:
        steps: (t, n), values of n architectures after each step.
        truth: (n,).
        k: Number of steps; the paper has 64.

    Raises:
        UserError: There are fewer than k steps.
    """
    last = take_last(steps, k)
    taus = gt_tau(last, truth)
    defined = taus[np.isfinite(taus)]
    mean, sd = (float(defined.mean()), float(defined.std())) if len(defined) else (np.nan, np.nan)
    return LastSteps(mean, sd, float(gt_tau(last.mean(0)[None], truth)[0]))


def take_last(steps: np.ndarray, k: int) -> np.ndarray:
    """Return the last k of t steps (t, n).

    Raises:
        UserError: There are fewer.
    """
    if not 1 <= k <= len(steps):
        raise UserError(f"`1 <= k <= steps` must hold for the last k steps, but got (k={k}, steps={len(steps)}).")
    return steps[-k:]
