"""Assessment of a score: its rank correlation with the accuracy, compared with free scores, and its biases."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import norm

from zenfront.pipeline.analysis.correlation import kendall, overlap, partial, spearman, weighted_tau
from zenfront.pipeline.analysis.reliability import reliability_of_mean
from zenfront.pipeline.analysis.resampling import Estimate, draw_resamples, estimate
from zenfront.pipeline.analysis.strata import cost_tolerance, count_similar_pairs

LEAST = 10
"""Number of architectures below which a correlation means nothing."""
PAIRS = LEAST * (LEAST - 1) // 2
"""Number of pairs of similar cost below which their correlation means nothing: that of the least number."""
SIGNIFICANT = 0.05
"""Probability of a wrong verdict on any of the scores of a table."""
TOP = 0.1
"""Share of the architectures that are called the best."""


@dataclass(frozen=True, eq=False)
class ReferenceData:
    """The data that a score is compared with, on n architectures.

    Attributes:
        accuracy: (n,), higher is better.
        seeds: (n, s) accuracies of single training runs; s is 0 or 1 where the noise is unknown.
        cost: (n,); pairs of similar cost are compared.
        baselines: Free scores by name, (n,) each; more is taken to be better.
        properties: Properties that a score may be biased by, by name, (n,) each.
        seed: Seed of the bootstrap.
    """

    accuracy: np.ndarray
    seeds: np.ndarray
    cost: np.ndarray
    baselines: Mapping[str, np.ndarray]
    properties: Mapping[str, np.ndarray]
    seed: int

    def __post_init__(self) -> None:
        if len(self.accuracy) < LEAST:
            raise ValueError(f"at least {LEAST} architectures are needed, but got {len(self.accuracy)}")


@dataclass(frozen=True)
class Bias:
    """Relation of a score to a property of the architecture.

    Attributes:
        correlation: Kendall's τ of score and property; None if one of the two is constant.
        held_fixed: Kendall's partial τ of score and accuracy with the property held fixed; None if undefined.
    """

    correlation: float | None
    held_fixed: float | None


@dataclass(frozen=True)
class Assessment:
    """Correlation of one score with the accuracy, on the architectures where the score is defined.

    Attributes:
        n: Number of these architectures.
        undefined: Number of architectures on which the score is undefined.
        kendall: τ-b.
        spearman: ρ.
        weighted: Weighted τ.
        equal_cost: τ-b over the pairs of similar cost; undefined if they are fewer than 45.
        pairs: Number of these pairs.
        top: τ-b among the best tenth by accuracy; undefined if that is fewer than 10 architectures.
        overlap: Share of the best tenth by accuracy that is in the best tenth by score.
        baseline: Name of the best free score here.
        difference: τ-b minus that of the baseline, on the same resamples.
        bias: By property.
        p: Probability of a difference at least as large if the score is as good as the best free one; None if it is
            undefined. See `_probability`.
        adjusted: `p`, corrected for the number of scores by Holm; None if it was not corrected.
    """

    n: int
    undefined: int
    kendall: Estimate
    spearman: Estimate
    weighted: Estimate
    equal_cost: Estimate
    pairs: int
    top: Estimate
    overlap: float
    baseline: str
    difference: Estimate
    bias: Mapping[str, Bias]
    p: float | None = None
    adjusted: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the score is better or worse than the best free one, or neither is shown: undecided."""
        if self.difference.value is None or self.difference.low is None or self.difference.high is None:
            return "undefined: the score is constant"
        tau = f"{self.difference.value:+.2f} [{self.difference.low:+.2f}, {self.difference.high:+.2f}]"
        unsure = self.adjusted is not None and self.adjusted > SIGNIFICANT
        if unsure or self.difference.low <= 0 <= self.difference.high:
            return f"undecided against {self.baseline}: {tau}"
        return f"{'better' if self.difference.low > 0 else 'worse'} than {self.baseline}: {tau}"


def assess(score: np.ndarray, reference: ReferenceData) -> Assessment:
    """Return the assessment of a score (n,): higher is taken to be better; NaN where it is undefined.

    Raises:
        ValueError: The score is defined on fewer than 10 architectures.
    """
    here = np.isfinite(score)
    if here.sum() < LEAST:
        raise ValueError(f"it is defined on {here.sum()} of {len(score)} architectures; at least {LEAST} are needed")
    x, y = score[here], reference.accuracy[here]
    counts = draw_resamples(len(score), reference.seed)[:, here]
    tau = kendall(x, y, counts)
    free = {name: kendall(values[here], y, counts) for name, values in reference.baselines.items()}
    baseline = max(free, key=lambda name: np.nan_to_num(free[name][0], nan=-2.0))
    cost, tolerance = reference.cost[here], cost_tolerance(reference.cost)
    pairs = count_similar_pairs(cost, tolerance)
    best = is_top(y)
    return Assessment(
        n=int(here.sum()),
        undefined=int((~here).sum()),
        kendall=estimate(tau),
        spearman=estimate(spearman(x, y, counts)),
        weighted=estimate(weighted_tau(x, y, counts[: 1 + len(counts) // 5])),
        equal_cost=estimate(kendall(x, y, counts, cost, tolerance)) if pairs >= PAIRS else Estimate(None),
        pairs=pairs,
        top=estimate(kendall(x[best], y[best], counts[:, best])) if best.sum() >= LEAST else Estimate(None),
        overlap=overlap(x, y, max(1, round(TOP * len(y)))),
        baseline=baseline,
        difference=estimate(tau - free[baseline]),
        bias={name: _measure_bias(x, y, values[here], float(tau[0])) for name, values in reference.properties.items()},
        p=_probability([tau - values for values in free.values()]),
    )


def _probability(differences: Sequence[np.ndarray]) -> float | None:
    """Return the two-sided probability of the differences (1 + b,) to each free score, by the normal distribution.

    To be better than the best free score is to be better than each of them: the largest of the one-sided
    probabilities counts, whichever free score looks best here (Berger, Technometrics 24, 1982). To be worse than it is
    to be worse than one of them: the smallest counts, times their number (Bonferroni).
    """
    known = [d for d in differences if np.isfinite(d[0]) and np.isfinite(d[1:]).any()]
    if not known:
        return None
    spread = np.array([np.nanstd(d[1:]) for d in known])
    values = np.array([d[0] for d in known])
    z = np.divide(values, spread, out=np.zeros(len(known)), where=spread > 0)
    better, worse = norm.sf(z).max(), min(1.0, len(known) * norm.cdf(z).min())
    return float(min(1.0, 2 * min(better, worse)))


def holm(probabilities: Sequence[float]) -> list[float]:
    """Return the probabilities corrected for their number: at 0.05, one wrong verdict in twenty tables.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    order = np.argsort(probabilities)
    count = len(order)
    steps = [min(1.0, (count - place) * probabilities[i]) for place, i in enumerate(order)]
    corrected = np.empty(count)
    corrected[order] = np.maximum.accumulate(steps) if count else []
    return [float(value) for value in corrected]


@dataclass(frozen=True)
class NoiseCeiling:
    """Agreement of two training runs of the same architectures.

    Attributes:
        n: Number of architectures that have all seeds.
        seeds: Number of seeds in the mean accuracy with which scores are compared: the harmonic mean over all
            architectures.
        overall: Mean τ-b over all pairs of seeds.
        equal_cost: Mean τ-b over the pairs of architectures of similar cost; None if they are fewer than 45.
        top: Mean τ-b among the best tenth; None if that is fewer than 10 architectures.
    """

    n: int
    seeds: float
    overall: float | None
    equal_cost: float | None
    top: float | None

    @property
    def perfect(self) -> tuple[float | None, float | None, float | None]:
        """τ-b of a perfect score with the mean over the seeds: overall, at equal cost, among the best tenth."""
        values = (self.overall, self.equal_cost, self.top)
        return tuple(None if value is None else correct_attenuation(value, self.seeds) for value in values)  # type: ignore[return-value]


def correct_attenuation(tau: float, seeds: float) -> float:
    """Return τ of the true accuracies with the means over some seeds, given τ of one seed with another.

    For normal noise, r = sin(π τ / 2) is the correlation of two seeds; that of the means of k seeds is k r / (1 + (k -
    1) r), and its root is the correlation of such a mean with the truth.

    Source: Spearman, American Journal of Psychology 15 (1904); Greiner's relation of τ and r.
    """
    r = math.sin(math.pi * max(tau, 0.0) / 2)
    return 2 / math.pi * math.asin(math.sqrt(reliability_of_mean(r, seeds)))


def noise_ceiling(reference: ReferenceData) -> NoiseCeiling | None:
    """Correlate seed with seed, over the architectures that have all seeds; None if there are fewer than two seeds.

    The best tenth is that of the first seed of each pair: that of the mean would look at both.
    """
    known = np.isfinite(reference.seeds).all(1)
    if reference.seeds.shape[1] < 2 or known.sum() < LEAST:
        return None
    rows = np.array(
        list(_correlate_seeds(reference.seeds[known], reference.cost[known], cost_tolerance(reference.cost)))
    )
    means = (float(mean) if np.isfinite(mean) else None for mean in rows.mean(0))
    count = np.isfinite(reference.seeds).sum(1)
    return NoiseCeiling(int(known.sum()), float(1 / np.mean(1 / count[count > 0])), *means)


def _correlate_seeds(seeds: np.ndarray, cost: np.ndarray, tolerance: float) -> Iterator[tuple[float, float, float]]:
    one = np.ones((1, len(seeds)), dtype=np.float32)
    enough = count_similar_pairs(cost, tolerance) >= PAIRS
    for a, b in combinations(seeds.T, 2):
        best = is_top(a)
        among_best = float(kendall(a[best], b[best], one[:, best])[0]) if best.sum() >= LEAST else np.nan
        at_equal_cost = float(kendall(a, b, one, cost, tolerance)[0]) if enough else np.nan
        yield float(kendall(a, b, one)[0]), at_equal_cost, among_best


def is_top(accuracy: np.ndarray) -> np.ndarray:
    """Return whether each architecture is among the best tenth."""
    return np.asarray(accuracy >= np.quantile(accuracy, 1 - TOP))


def _measure_bias(x: np.ndarray, y: np.ndarray, z: np.ndarray, tau: float) -> Bias:
    one = np.ones((1, len(x)), dtype=np.float32)
    xz, yz = (float(kendall(v, z, one)[0]) for v in (x, y))
    if not np.isfinite([tau, xz, yz]).all():
        return Bias(xz if np.isfinite(xz) else None, None)
    return Bias(xz, partial(tau, xz, yz))
