"""Reliability of a score at equal cost: the share of its variance that is not due to the draw of the weights."""

from dataclasses import dataclass

import numpy as np

TARGET = 0.9
"""Reliability that the mean over the repeats should have."""
MOST = 8
"""Most repeats of a score that are chosen to reach the target."""
SPAN = 10
"""Factor between the lowest and the highest mean from which a positive score is compared by its logarithm."""
LEAST = 6
"""Number of architectures below which a reliability means nothing."""


@dataclass(frozen=True)
class Reliability:
    """Reliability of a score, and the number of repeats that follows from it.

    Attributes:
        single: Reliability of one sample, in [0, 1]; None if it is unknown.
        repeats: Number of samples whose mean is the score.
    """

    single: float | None
    repeats: int

    @property
    def mean(self) -> float | None:
        """Reliability of the mean over the repeats; None if it is unknown."""
        return None if self.single is None else reliability_of_mean(self.single, self.repeats)

    @property
    def reaches_target(self) -> bool:
        """Whether the mean over the repeats is known to be reliable enough."""
        return self.mean is not None and self.mean >= TARGET


def reliability(means: np.ndarray, errors: np.ndarray, repeats: int, cost: np.ndarray) -> float | None:
    """Return the intraclass correlation of a score at equal cost, in [0, 1].

    With W the mean variance of the samples of an architecture and B the variance of the true means of the
    architectures around their linear regression on the logarithm of the cost, it is B / (B + W): the expected
    correlation of two samples of each architecture, each with its own weights, at a given cost. A positive score whose
    means span more than a factor of ten is compared by its logarithm, since a search compares scores by order.

    Args:
        means: (n,), mean of the samples of each architecture; one that is not finite is left out.
        errors: (n,), their standard errors.
        repeats: Number of samples of each architecture, at least 2.
        cost: (n,), positive; where it is not, the architecture is left out.

    Returns:
        The reliability; None if fewer than 6 architectures are left, or all samples are equal.

    Source: ICC(1) of Shrout and Fleiss, Psychological Bulletin 86 (1979), with the cost as a covariate.
    """
    known = np.isfinite(means) & np.isfinite(errors) & np.isfinite(cost) & (cost > 0)
    if known.sum() < LEAST:
        return None
    means, errors, cost = means[known], errors[known], cost[known]
    if 0 < SPAN * means.min() < means.max():
        means, errors = np.log(means), errors / means
    of_mean = float((errors**2).mean())
    design = np.column_stack([np.ones(len(cost)), np.log(cost)])
    fitted, _, rank, _ = np.linalg.lstsq(design, means)
    between = max(0.0, float(((means - design @ fitted) ** 2).sum() / (len(cost) - rank)) - of_mean)
    total = between + repeats * of_mean
    return between / total if total > 0 else None


def reliability_of_mean(single: float, repeats: float) -> float:
    """Return the reliability of the mean of some samples, given that of one (Spearman and Brown, 1910)."""
    return repeats * single / (1 + (repeats - 1) * single)


def plan_repeats(single: float | None) -> Reliability:
    """Return the least number of repeats with which a score of this reliability reaches the target, at most 8.

    One repeat is planned if the reliability is unknown.
    """
    if single is None:
        return Reliability(None, 1)
    enough = (k for k in range(1, MOST) if reliability_of_mean(single, k) >= TARGET)
    return Reliability(single, next(enough, MOST))
