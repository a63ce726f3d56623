"""Does a score tell the accuracy: more than the cost does, at equal cost, among the best, and what is it biased by?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from zenfront.pipeline.analysis.correlation import kendall, overlap, partial, spearman, weighted_tau
from zenfront.pipeline.analysis.resampling import Estimate, estimate, resamples
from zenfront.pipeline.analysis.strata import cost_strata

LEAST = 10
"""Architectures below which a correlation says nothing."""
TOP = 0.1


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of n architectures beside their scores.

    Attributes:
        accuracy: (n,), higher is better.
        seeds: (n, s) accuracies of single training runs; s is 0 or 1 where the noise is unknown.
        cost: (n,), of which architectures are called equal.
        baselines: Free scores by name, (n,) each: more is taken to be better.
        properties: (n,) each, by name: what a score may be biased by.
        seed: Of the bootstrap.
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
    """What a score has to do with a property of the architecture.

    Attributes:
        correlation: Tau of score and property; None: one of the two is constant.
        held_fixed: Kendall's partial tau of score and accuracy, the property held fixed; None: undefined.
    """

    correlation: float | None
    held_fixed: float | None


@dataclass(frozen=True)
class Evidence:
    """What a score is worth, on the architectures where it is defined.

    Attributes:
        n: Their number.
        undefined: On how many it is not.
        kendall: Tau-b with the accuracy.
        spearman: Rho.
        weighted: Weighted tau.
        equal_cost: Tau-b over the pairs of equal cost.
        top: Tau-b among the best tenth by accuracy; undefined where that is fewer than 10.
        overlap: The share of the best tenth by accuracy in the best tenth by score.
        baseline: The best free score here.
        difference: Tau-b minus that of the baseline, paired.
        bias: By property.
    """

    n: int
    undefined: int
    kendall: Estimate
    spearman: Estimate
    weighted: Estimate
    equal_cost: Estimate
    top: Estimate
    overlap: float
    baseline: str
    difference: Estimate
    bias: Mapping[str, Bias]

    @property
    def verdict(self) -> str:
        """Whether it tells more than the best free score, with the interval of the difference."""
        if self.difference.value is None or self.difference.low is None or self.difference.high is None:
            return "undefined: the score is constant"
        tau = f"{self.difference.value:+.2f} [{self.difference.low:+.2f}, {self.difference.high:+.2f}]"
        if self.difference.low > 0:
            return f"better than {self.baseline}: {tau}"
        return f"{'worse' if self.difference.high < 0 else 'not better'} than {self.baseline}: {tau}"


def assess(score: np.ndarray, truth: Truth) -> Evidence:
    """The evidence on one score (n,): higher is taken to be better; NaN where it is undefined.

    Raises:
        ValueError: It is defined on fewer than 10 architectures.
    """
    here = np.isfinite(score)
    if here.sum() < LEAST:
        raise ValueError(f"it is defined on {here.sum()} of {len(score)} architectures; at least {LEAST} are needed")
    x, y = score[here], truth.accuracy[here]
    counts = resamples(len(score), truth.seed)[:, here]
    tau = kendall(x, y, counts)
    free = {name: kendall(values[here], y, counts) for name, values in truth.baselines.items()}
    baseline = max(free, key=lambda name: np.nan_to_num(free[name][0], nan=-2.0))
    strata, _ = cost_strata(truth.cost)
    best = _top(y)
    return Evidence(
        n=int(here.sum()),
        undefined=int((~here).sum()),
        kendall=estimate(tau),
        spearman=estimate(spearman(x, y, counts)),
        weighted=estimate(weighted_tau(x, y, counts[: 1 + len(counts) // 5])),
        equal_cost=estimate(kendall(x, y, counts, strata[here])),
        top=estimate(kendall(x[best], y[best], counts[:, best])) if best.sum() >= LEAST else Estimate(None),
        overlap=overlap(x, y, max(1, round(TOP * len(y)))),
        baseline=baseline,
        difference=estimate(tau - free[baseline]),
        bias={name: _bias(x, y, values[here], float(tau[0])) for name, values in truth.properties.items()},
    )


@dataclass(frozen=True)
class Ceiling:
    """How well one training run tells another one of the same architectures: no score can be asked for more.

    Attributes:
        overall: Mean tau-b over all pairs of seeds.
        equal_cost: Over the pairs of architectures of equal cost; None: there are none.
        top: Among the best tenth; None: they are fewer than 10.
    """

    overall: float | None
    equal_cost: float | None
    top: float | None


def noise_ceiling(truth: Truth) -> Ceiling | None:
    """Seed against seed, over the architectures that have all seeds; None where there are not two seeds.

    The best tenth is that of the first seed of each pair: that of the mean would look at both.
    """
    known = np.isfinite(truth.seeds).all(1)
    if truth.seeds.shape[1] < 2 or known.sum() < LEAST:
        return None
    strata, _ = cost_strata(truth.cost)
    rows = np.array(list(_seed_pairs(truth.seeds[known], strata[known])))
    return Ceiling(*(float(mean) if np.isfinite(mean) else None for mean in rows.mean(0)))


def _seed_pairs(seeds: np.ndarray, strata: np.ndarray) -> Iterator[tuple[float, float, float]]:
    one = np.ones((1, len(seeds)), dtype=np.float32)
    for a, b in combinations(seeds.T, 2):
        best = _top(a)
        elite = float(kendall(a[best], b[best], one[:, best])[0]) if best.sum() >= LEAST else np.nan
        yield (
            float(kendall(a, b, one)[0]),
            float(kendall(a, b, one, strata)[0]),
            elite,
        )


def _top(accuracy: np.ndarray) -> np.ndarray:
    """Whether each is among the best tenth."""
    return np.asarray(accuracy >= np.quantile(accuracy, 1 - TOP))


def _bias(x: np.ndarray, y: np.ndarray, z: np.ndarray, tau: float) -> Bias:
    one = np.ones((1, len(x)), dtype=np.float32)
    xz, yz = (float(kendall(v, z, one)[0]) for v in (x, y))
    if not np.isfinite([tau, xz, yz]).all():
        return Bias(xz if np.isfinite(xz) else None, None)
    return Bias(xz, partial(tau, xz, yz))
