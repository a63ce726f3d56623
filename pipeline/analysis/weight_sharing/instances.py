"""A value over instances: mean, spread, least, most, and the interval of a bootstrap over the instances."""

from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.analysis.resampling import RESAMPLES, Estimate, draw_resamples, estimate
from zenfront.pipeline.analysis.weight_sharing.agreement import tau_matrix
from zenfront.pipeline.errors import UserError

LEAST = 3
"""Number of instances below which a bootstrap over them says nothing."""


@dataclass(frozen=True)
class Spread:
    """A value over instances, or over the pairs of instances.

    Attributes:
        mean: Mean, with the 95 % interval of a bootstrap over instances; without an interval below 3 of them.
        sd: Standard deviation, divided by the number of values; None if no value is defined.
        least: Smallest value.
        most: Largest value.
        count: Number of instances whose value is defined.
    """

    mean: Estimate
    sd: float | None
    least: float | None
    most: float | None
    count: int


def over_instances(values: np.ndarray, seed: int, resamples: int = RESAMPLES) -> Spread:
    """Return mean and spread of one value per instance, (m,); NaN: the instance has none and is left out."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return Spread(Estimate(None), None, None, None, 0)
    counts = draw_resamples(len(defined), seed, resamples if len(defined) >= LEAST else 0)
    return _spread(estimate(counts.astype(np.float64) @ defined / len(defined)), defined, len(defined))


def s_tau(rankings: np.ndarray, seed: int, resamples: int = RESAMPLES) -> Spread:
    """Return S-Tau = 2 / (N (N - 1)) sum_{i<j} τ-b(R_i, R_j), the mean agreement of N instances' rankings.

    A resample draws instances; its pairs of an instance with itself are left out.

    Args:
        rankings: (N, n), values of n architectures in each instance. A constant ranking has no τ and is left out.
        seed: Seed of the bootstrap.
        resamples: Number of resamples.

    Raises:
        UserError: There is one instance.

    Source: Zhang et al., 2020, arXiv:2001.01431, sec. 3.
    """
    if len(rankings) < 2:
        raise UserError(f"S-Tau compares instances: at least 2 are needed, but got {len(rankings)}.")
    varied = rankings[np.ptp(rankings, axis=1) > 0]
    if len(varied) < 2:
        return Spread(Estimate(None), None, None, None, len(varied))
    matrix = tau_matrix(varied, varied)
    counts = draw_resamples(len(varied), seed, resamples if len(varied) >= LEAST else 0).astype(np.float64)
    others = matrix - np.diag(np.diag(matrix))
    pairs = counts.sum(1) ** 2 - (counts**2).sum(1)
    with np.errstate(invalid="ignore"):
        means = np.einsum("bi,ij,bj->b", counts, others, counts) / pairs
    return _spread(estimate(means), matrix[np.triu_indices(len(varied), 1)], len(varied))


def _spread(mean: Estimate, values: np.ndarray, count: int) -> Spread:
    return Spread(mean, float(values.std()), float(values.min()), float(values.max()), count)
