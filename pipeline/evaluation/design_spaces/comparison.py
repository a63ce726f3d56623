"""Comparison of design spaces: distributions, differences, efficiency of random search and size of the samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from zenfront.pipeline.analysis.distributions.complexity import Binning, automatic_bins, share_bins, shared_limits
from zenfront.pipeline.analysis.distributions.edf import Edf, area, edf
from zenfront.pipeline.analysis.distributions.studies import (
    Spread,
    best_range,
    powers_of_two,
    random_search_efficiency,
    sample_size_study,
)
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.design_spaces.model_sample import ModelSample, models
from zenfront.pipeline.evaluation.design_spaces.pair import Pair, compare_pair
from zenfront.pipeline.evaluation.design_spaces.settings import INTERVAL, Settings

GRID = 200
"""Errors at which a band is drawn."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """The distribution of the errors of one sample.

    Attributes:
        sample: The models.
        weights: (n,), normalised by complexity; None without complexities.
        plain: Distribution function with equal weights.
        normalised: Distribution function with the weights; None without complexities.
        grid: (g,), errors at which the band is known.
        band: (2, g), 95 % bootstrap interval of the plain function at each error of the grid.
        area: Area under the plain function, `edf.area`; None for scores, which can be negative.
        normalised_area: The same at equal complexity; None without complexities too.
        random_search: Minimum error of m random models, at equal complexity if there are weights.
        sample_sizes: D of parts of the sample against all of it.
        best_ranges: Range of the best values of each hyper-parameter: (low, median, high).
    """

    sample: ModelSample
    weights: np.ndarray | None
    plain: Edf
    normalised: Edf | None
    grid: np.ndarray
    band: np.ndarray
    area: float | None
    normalised_area: float | None
    random_search: Sequence[Spread]
    sample_sizes: Sequence[Spread]
    best_ranges: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Samples compared by the distributions of their errors.

    Attributes:
        measure: Name and unit of the errors, such as ``test error [%]``.
        settings: Settings of the comparison.
        epsilon: Largest error that counts for the area.
        binning: Bins of complexity that the samples share; None without complexities.
        distributions: One for each sample.
        pairs: Every two samples.
    """

    measure: str
    settings: Settings
    epsilon: float
    binning: Binning | None
    distributions: Sequence[Distribution]
    pairs: Sequence[Pair]

    def notes(self) -> list[str]:
        """Return what was left out, a line each."""
        lines = [note for one in self.distributions for note in one.sample.notes()]
        if self.binning and len(self.binning.empty):
            lines.append(
                f"{len(self.binning.empty)} of {len(self.binning.empty) + len(self.binning.kept)} bins of complexity "
                "lack models of a sample and are left out at equal complexity"
            )
        outside = self.binning.outside if self.binning else ()
        for one, count in zip(self.distributions, outside, strict=False):
            if count:
                lines.append(
                    f"{one.sample.name}: {models(count)} outside the shared range of complexity, left out there"
                )
        return lines


def compare(samples: Sequence[ModelSample], settings: Settings, measure: str = "test error [%]") -> Comparison:
    """Compare samples of models by the distributions of their errors.

    Args:
        samples: Two or more, with distinct names.
        settings: Settings of the comparison.
        measure: Name and unit of the errors.

    Raises:
        UserError: There are fewer than two samples, or two of one name; a sample is too small, has no such complexity
            or equal errors only; the samples do not overlap in complexity; a setting is out of its range.
    """
    known, binning = make_comparable(samples, settings)
    for sample in known:
        sample.require_distribution()
    epsilon = settings.epsilon or float(max(sample.errors.max() for sample in known))
    return Comparison(
        measure,
        settings,
        epsilon,
        binning,
        [_describe(known, i, binning, epsilon, settings) for i in range(len(known))],
        [compare_pair(known, i, j, binning, settings) for i, j in combinations(range(len(known)), 2)],
    )


def make_comparable(samples: Sequence[ModelSample], settings: Settings) -> tuple[list[ModelSample], Binning | None]:
    """Return the models that can be compared, and the bins of complexity that the samples share.

    Raises:
        UserError: As `compare`, except for equal errors.
    """
    settings.check()
    if len(samples) < 2:
        raise UserError(f"two or more samples are needed, but got {', '.join(s.name for s in samples) or 'none'}.")
    names = [sample.name for sample in samples]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise UserError(f"the samples must have different names, but got {doubled[0]!r} more than once.")
    known = [s.known().with_complexities(settings.complexities, settings.limits) for s in samples]
    for sample in known:
        sample.require_enough()
    return known, _bin(known, settings) if settings.complexities else None


def _bin(samples: Sequence[ModelSample], settings: Settings) -> Binning:
    names = settings.complexities
    columns = [np.array([sample.complexities[name] for name in names]).T for sample in samples]
    limits = shared_limits(columns, names)
    return share_bins(columns, settings.bins or automatic_bins(columns), limits)


def _describe(
    samples: Sequence[ModelSample], position: int, binning: Binning | None, epsilon: float, settings: Settings
) -> Distribution:
    sample = samples[position]
    n = len(sample.errors)
    weights = binning.weights(position) if binning else None
    equal = np.full(n, 1 / n)
    pooled = np.concatenate([each.errors for each in samples])
    signed = bool(pooled.min() < 0)
    grid = np.linspace(pooled.min(), pooled.max(), GRID)
    return Distribution(
        sample,
        weights,
        edf(sample.errors),
        None if weights is None else edf(sample.errors, weights),
        grid,
        _band(sample.errors, grid, settings.resamples, settings.generator("band", sample.name)),
        None if signed else float(area(sample.errors, equal, epsilon)),
        None if signed or weights is None else float(area(sample.errors, weights, epsilon)),
        random_search_efficiency(
            sample.errors,
            equal if weights is None else weights,
            powers_of_two(n),
            settings.generator("random search", sample.name),
        ),
        sample_size_study(sample.errors, powers_of_two(n), settings.generator("sample size", sample.name)),
        best_ranges(sample, settings),
    )


def best_ranges(sample: ModelSample, settings: Settings) -> dict[str, tuple[float, float, float]]:
    """Return the range of the best values of every hyper-parameter that varies and is known for all models."""
    varied = {
        name: values
        for name, values in sample.parameters.items()
        if np.isfinite(values).all() and len(np.unique(values)) > 1
    }
    return {
        name: best_range(values, sample.errors, settings.generator("best range", sample.name, name))
        for name, values in varied.items()
    }


def _band(errors: np.ndarray, grid: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Return the 95 % interval (2, g) of the plain distribution function at each error of the grid.

    A resample of n models has a binomial number of errors below each value, drawn here cell by cell of the grid.
    """
    n = len(errors)
    below = np.searchsorted(np.sort(errors), grid, side="left")
    cells = np.diff(np.concatenate([[0], below, [n]])) / n
    counts = generator.multinomial(n, cells / cells.sum(), size=resamples)
    return np.asarray(np.percentile(np.cumsum(counts[:, :-1], axis=1) / n, INTERVAL, axis=0))
