"""Bootstrap: resamples as counts, and percentile intervals."""

from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.seeds import numpy_generator

RESAMPLES = 500
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A statistic with its bootstrap interval.

    Attributes:
        value: Statistic of the sample; None if it is undefined, e.g. because an argument is constant.
        low: Lower end of the interval; None if it is undefined.
        high: Upper end of the interval; None if it is undefined.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        interval = f" [{self.low:.2f}, {self.high:.2f}]" if self.low is not None else ""
        return f"{self.value:.2f}{interval}"


def draw_resamples(n: int, seed: int, count: int = RESAMPLES) -> np.ndarray:
    """Draw how often each of n observations is in each resample.

    The same seed gives the same resamples, so that statistics over the same observations are paired.

    Returns:
        (1 + count, n) float32; the first row is the sample itself.
    """
    drawn = numpy_generator(seed, "bootstrap").multinomial(n, np.full(n, 1 / n), size=count)
    return np.vstack([np.ones(n), drawn]).astype(np.float32)


def estimate(statistics: np.ndarray, level: float = LEVEL) -> Estimate:
    """Return the estimate of a statistic, with the interval of the percentiles (Efron, 1979).

    Args:
        statistics: (1 + count,), of the sample itself and of its resamples; NaN where undefined.
        level: Coverage of the interval.
    """
    if not np.isfinite(statistics[0]):
        return Estimate(None)
    defined = statistics[1:][np.isfinite(statistics[1:])]
    if not len(defined):
        return Estimate(float(statistics[0]))
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(statistics[0]), float(low), float(high))
