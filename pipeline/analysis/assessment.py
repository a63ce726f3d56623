"""Assessment of a score: its rank correlation with the accuracy, compared with free scores, and its biases."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from zenfront.pipeline.analysis.correlation import kendall, overlap, partial, spearman, weighted_tau
from zenfront.pipeline.analysis.resampling import Estimate, draw_resamples, estimate
from zenfront.pipeline.analysis.strata import cost_tolerance, count_similar_pairs

LEAST = 10
"""Number of architectures below which a correlation means nothing."""
PAIRS = LEAST * (LEAST - 1) // 2
"""Number of pairs of similar cost below which their correlation means nothing: that of the least number."""
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

    @property
    def verdict(self) -> str:
        """Whether the score is better or worse than the best free one, or neither is shown: undecided."""
        if self.difference.value is None or self.difference.low is None or self.difference.high is None:
            return "undefined: the score is constant"
        tau = f"{self.difference.value:+.2f} [{self.difference.low:+.2f}, {self.difference.high:+.2f}]"
        if self.difference.low <= 0 <= self.difference.high:
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
    best = _is_top(y)
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
    )


@dataclass(frozen=True)
class NoiseCeiling:
    """Agreement of two training runs of the same architectures.

    Attributes:
        overall: Mean τ-b over all pairs of seeds.
        equal_cost: Mean τ-b over the pairs of architectures of similar cost; None if they are fewer than 45.
        top: Mean τ-b among the best tenth; None if that is fewer than 10 architectures.
    """

    overall: float | None
    equal_cost: float | None
    top: float | None


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
    return NoiseCeiling(*(float(mean) if np.isfinite(mean) else None for mean in rows.mean(0)))


def _correlate_seeds(seeds: np.ndarray, cost: np.ndarray, tolerance: float) -> Iterator[tuple[float, float, float]]:
    one = np.ones((1, len(seeds)), dtype=np.float32)
    enough = count_similar_pairs(cost, tolerance) >= PAIRS
    for a, b in combinations(seeds.T, 2):
        best = _is_top(a)
        among_best = float(kendall(a[best], b[best], one[:, best])[0]) if best.sum() >= LEAST else np.nan
        at_equal_cost = float(kendall(a, b, one, cost, tolerance)[0]) if enough else np.nan
        yield float(kendall(a, b, one)[0]), at_equal_cost, among_best


def _is_top(accuracy: np.ndarray) -> np.ndarray:
    """Return whether each architecture is among the best tenth."""
    return np.asarray(accuracy >= np.quantile(accuracy, 1 - TOP))


def _measure_bias(x: np.ndarray, y: np.ndarray, z: np.ndarray, tau: float) -> Bias:
    one = np.ones((1, len(x)), dtype=np.float32)
    xz, yz = (float(kendall(v, z, one)[0]) for v in (x, y))
    if not np.isfinite([tau, xz, yz]).all():
        return Bias(xz if np.isfinite(xz) else None, None)
    return Bias(xz, partial(tau, xz, yz))
