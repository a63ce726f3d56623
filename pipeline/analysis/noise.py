"""Differences of accuracy that are larger than the noise between seeds."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import studentized_range


def noise_groups(samples: Sequence[Sequence[float]], confidence: float = 0.95) -> list[int] | None:
    """Group samples whose means do not differ, within the noise, from the best of their group.

    Two means differ if |m_i - m_j| > q s / sqrt(2) sqrt(1 / n_i + 1 / n_j), where s is the standard deviation pooled
    over all samples and q the quantile of the studentised range for their number, so that the confidence holds for
    all pairs together. From the highest mean downwards, the first that differs from the head of its group begins the
    next group.

    Args:
        samples: Each with at least one value, e.g. one accuracy per seed.
        confidence: Probability that all statements together hold.

    Returns:
        The group of each sample, 0 for the highest mean; None if no sample has two values: the noise is unknown.

    Source: Kramer, Biometrics 12 (1956): Tukey's test for unequal sizes.
    """
    sizes = [len(sample) for sample in samples]
    freedom = sum(sizes) - len(samples)
    if not freedom:
        return None
    means = [float(np.mean(sample)) for sample in samples]
    spread = math.sqrt(sum(np.var(sample) * len(sample) for sample in samples) / freedom)
    quantile = studentized_range.ppf(confidence, len(samples), freedom) if len(samples) > 1 else 0.0
    groups = [0] * len(samples)
    group, head = -1, -1
    for index in sorted(range(len(samples)), key=lambda i: -means[i]):
        noise = quantile * spread / math.sqrt(2) * math.sqrt(1 / sizes[index] + 1 / sizes[head])
        if group < 0 or means[head] - means[index] > noise:
            group, head = group + 1, index
        groups[index] = group
    return groups
