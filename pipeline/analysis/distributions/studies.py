"""Studies of one sample: efficiency of random search, size of the sample, best range of a hyper-parameter."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BEST_RESAMPLES, BEST_SHARE = 2500, 0.25
"""Resamples and share of the models in each, of `best_range`: those of pycls."""
PERCENTILES = (2.5, 50.0, 97.5)


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a statistic at one size.

    Attributes:
        size: Number of models.
        trials: Number of draws behind mean and deviation.
        mean: Mean.
        deviation: Standard deviation; None with one draw.
    """

    size: int
    trials: int
    mean: float
    deviation: float | None


def powers_of_two(n: int) -> list[int]:
    """Return 1, 2, 4 ... up to n."""
    return [2**i for i in range(max(n, 1).bit_length())]


def random_search_efficiency(
    errors: np.ndarray, weights: np.ndarray, sizes: Sequence[int], generator: np.random.Generator
) -> list[Spread]:
    """Return the minimum error of m random models, for each m.

    For each m, n // m draws of m models are taken with replacement, by the weights, so that spaces are compared at
    equal complexity where the weights are normalised.

    Args:
        errors: (n,).
        weights: (n,), with sum 1.
        sizes: Numbers m, each at most n.
        generator: Draws the models.

    Source: Radosavovic et al., ICCV 2019, sec. 4.4, as computed in the authors' notebooks.
    """
    spreads = []
    for size in sizes:
        trials = len(errors) // size
        drawn = errors[generator.choice(len(errors), size=(trials, size), p=weights)]
        spreads.append(_spread(size, drawn.min(1)))
    return spreads


def sample_size_study(
    errors: np.ndarray, sizes: Sequence[int], generator: np.random.Generator, trials: int = 50
) -> list[Spread]:
    """Return D between random parts of a sample and the whole sample, for each size of the part.

    Args:
        errors: (n,).
        sizes: Sizes of the parts, each at most n; drawn without replacement.
        generator: Draws the parts.
        trials: Number of parts of each size.

    Source: Radosavovic et al., ICCV 2019, sec. 4.2 and fig. 7.
    """
    n, ordered = len(errors), np.sort(errors)
    last = np.append(ordered[1:] != ordered[:-1], True)
    whole = np.arange(1, n + 1) / n
    spreads = []
    for size in sizes:
        parts = (np.bincount(generator.permutation(n)[:size], minlength=n) for _ in range(trials))
        spreads.append(_spread(size, np.array([np.abs(part.cumsum() / size - whole)[last].max() for part in parts])))
    return spreads


def best_range(values: np.ndarray, errors: np.ndarray, generator: np.random.Generator) -> tuple[float, float, float]:
    """Return where the best values of a hyper-parameter lie: (low, median, high), the percentiles 2.5, 50 and 97.5.

    Each of 2,500 resamples draws a quarter of the models with replacement and takes the value of its best one.

    Args:
        values: (n,), the hyper-parameter of each model.
        errors: (n,).
        generator: Draws the resamples.

    Source: pycls, sweep/analysis.py, get_filters; Dollar et al., CVPR 2021, arXiv:2103.06877.
    """
    size = max(1, int(BEST_SHARE * len(errors)))
    drawn = generator.integers(len(errors), size=(BEST_RESAMPLES, size))
    best = drawn[np.arange(BEST_RESAMPLES), errors[drawn].argmin(1)]
    low, median, high = np.percentile(values[best], PERCENTILES)
    return float(low), float(median), float(high)


def _spread(size: int, found: np.ndarray) -> Spread:
    deviation = float(found.std(ddof=1)) if len(found) > 1 else None
    return Spread(size, len(found), float(found.mean()), deviation)
