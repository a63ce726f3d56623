"""Two samples of models compared: the difference of their distributions, with tests and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.analysis.distributions.complexity import Binning
from zenfront.pipeline.analysis.distributions.difference import (
    Difference,
    Pool,
    asymptotic_p,
    bootstrap,
    interval_of_d,
    permutation_p,
)
from zenfront.pipeline.evaluation.design_spaces.model_sample import ModelSample
from zenfront.pipeline.evaluation.design_spaces.settings import Settings

SIGNIFICANT = 0.05
"""p-value below which a difference is shown."""
CROSSING = 0.5
"""Part of D by which the other sample must lie ahead elsewhere for the distributions to count as crossing."""


@dataclass(frozen=True)
class Interval:
    """A statistic with its 95 % bootstrap interval, `interval_of_d`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class DifferenceTest:
    """The difference of two distributions with its tests.

    Attributes:
        difference: D, and its two sides.
        interval: D with its bootstrap interval.
        p: p-value of the permutation test.
        asymptotic_p: p-value by the limit distribution; None for weighted samples.
    """

    difference: Difference
    interval: Interval
    p: float
    asymptotic_p: float | None = None


@dataclass(frozen=True)
class Pair:
    """Two samples compared.

    Attributes:
        first: Name of the first sample.
        second: Name of the second sample.
        plain: All models with equal weights.
        normalised: At equal complexity; None without complexities.
    """

    first: str
    second: str
    plain: DifferenceTest
    normalised: DifferenceTest | None

    @property
    def better(self) -> str | None:
        """Name of the sample that lies at lower errors, at equal complexity if known; None if neither does."""
        return self.ahead(self.test.p)

    @property
    def test(self) -> DifferenceTest:
        """The test at equal complexity, if known, or else that of all models."""
        return self.normalised or self.plain

    def ahead(self, p: float) -> str | None:
        """Return `better` by another p-value of the test, such as one that is corrected for the number of tests."""
        test = self.test
        ahead, behind = test.difference.above, test.difference.below
        if p >= SIGNIFICANT or min(ahead, behind) >= CROSSING * test.difference.d:
            return None
        return self.first if ahead > behind else self.second


def compare_pair(
    samples: Sequence[ModelSample], first: int, second: int, binning: Binning | None, settings: Settings
) -> Pair:
    """Compare two samples.

    Args:
        samples: All samples.
        first: Position of the first one.
        second: Position of the second one.
        binning: Bins of complexity that all samples share; None: without normalisation.
        settings: Settings of the comparison.
    """
    one, other = samples[first], samples[second]
    pool = Pool(one.errors, other.errors)
    sizes = (len(one.errors), len(other.errors))
    names = (one.name, other.name)

    def apart(counts: np.ndarray, others: np.ndarray) -> np.ndarray:
        drawn = [pool.signed(counts / sizes[0], others / sizes[1])]
        if binning:
            drawn.append(pool.signed(binning.weights(first, counts), binning.weights(second, others)))
        return np.array([np.maximum(*pool.extremes(signed)) for signed in drawn]).T

    resampled = bootstrap(sizes, apart, settings.generator("bootstrap", *names), settings.resamples).T
    equal = (np.full(sizes[0], 1 / sizes[0]), np.full(sizes[1], 1 / sizes[1]))
    anywhere = (np.zeros(sizes[0]), np.zeros(sizes[1]))
    plain = _test(pool, equal, anywhere, resampled[0], settings, names)
    plain = DifferenceTest(plain.difference, plain.interval, plain.p, asymptotic_p(one.errors, other.errors))
    if not binning:
        return Pair(*names, plain, None)
    weights = (binning.weights(first), binning.weights(second))
    cells = (binning.cells[first], binning.cells[second])
    return Pair(*names, plain, _test(pool, weights, cells, resampled[1], settings, names))


def _test(
    pool: Pool,
    weights: tuple[np.ndarray, np.ndarray],
    cells: tuple[np.ndarray, np.ndarray],
    resampled: np.ndarray,
    settings: Settings,
    names: tuple[str, str],
) -> DifferenceTest:
    difference = pool.difference(*weights)
    generator = settings.generator("permutations", *names)
    p = permutation_p(pool, weights, cells, generator, settings.resamples)
    return DifferenceTest(difference, Interval(difference.d, *interval_of_d(difference.d, resampled, p)), p)
