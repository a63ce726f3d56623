"""Bootstrap: how often each observation is in each resample, and the intervals that follow."""

from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.seeds import numpy_generator

RESAMPLES = 500
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A statistic with its bootstrap interval.

    Attributes:
        value: Of the sample; None: undefined (one of the two is constant).
        low: Lower end; None where the statistic is undefined.
        high: Upper end; likewise.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        interval = f" [{self.low:.2f}, {self.high:.2f}]" if self.low is not None else ""
        return f"{self.value:.2f}{interval}"


def resamples(n: int, seed: int, count: int = RESAMPLES) -> np.ndarray:
    """How often each of n observations is drawn: (1 + count, n) float32; the first row is the sample itself.

    The same seed gives the same resamples: statistics over the same observations are paired.
    """
    drawn = numpy_generator(seed, "bootstrap").multinomial(n, np.full(n, 1 / n), size=count)
    return np.vstack([np.ones(n), drawn]).astype(np.float32)


def estimate(statistics: np.ndarray, level: float = LEVEL) -> Estimate:
    """The estimate of a statistic (1 + count,), the first of the sample itself; NaN where it is undefined.

    The interval is that of the percentiles (Efron, 1979).
    """
    if not np.isfinite(statistics[0]):
        return Estimate(None)
    defined = statistics[1:][np.isfinite(statistics[1:])]
    if not len(defined):
        return Estimate(float(statistics[0]))
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(statistics[0]), float(low), float(high))
