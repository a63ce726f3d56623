from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from zenfront.pipeline.analysis.assessment import ReferenceData, assess, holm, noise_ceiling
from zenfront.pipeline.analysis.resampling import Estimate
from zenfront.pipeline.seeds import numpy_generator

N = 600


def _truth(rng: np.random.Generator) -> tuple[ReferenceData, dict[str, np.ndarray]]:
    """Make a table whose accuracy is the cost level plus a quality that only some scores depend on."""
    cost = rng.integers(0, 6, N).astype(float)
    quality, noise = rng.normal(0, 1, N), rng.normal(0, 1, (4, N))
    accuracy = 80 + cost + quality
    seeds = (accuracy + 0.3 * noise[:2]).T
    truth = ReferenceData(accuracy, seeds, cost, {"flops": cost}, {"flops": cost, "constant": np.ones(N)}, seed=0)
    return truth, {"cost": cost + 0.01 * noise[2], "quality": quality, "all": accuracy, "noise": noise[3]}


TRUTH, SCORES = _truth(numpy_generator(0, "known data"))


def test_a_score_of_cost_and_quality_is_better_than_the_baseline() -> None:
    found = assess(SCORES["all"], TRUTH)
    assert found.kendall.value == 1.0
    assert found.equal_cost.value == 1.0
    assert found.overlap == 1.0
    assert found.verdict.startswith("better than flops")


def test_a_score_of_cost_alone_is_uninformative_at_equal_cost() -> None:
    found = assess(SCORES["cost"], TRUTH)
    assert found.kendall.value is not None
    assert found.kendall.value > 0.5
    assert found.equal_cost.value == pytest.approx(0, abs=0.1)  # its standard error is 0.03
    assert not found.verdict.startswith("better")


def test_a_score_of_quality_alone_is_perfect_at_equal_cost() -> None:
    found = assess(SCORES["quality"], TRUTH)
    assert found.equal_cost.value == 1.0
    assert found.verdict.startswith("worse than flops")


def test_the_intervals_of_noise_contain_zero() -> None:
    found = assess(SCORES["noise"], TRUTH)
    for part in (found.kendall, found.spearman, found.equal_cost, found.top):
        assert part.low is not None
        assert part.high is not None
        assert part.low < 0 < part.high


def test_cost_bias_and_the_correlation_without_it() -> None:
    bias = assess(SCORES["cost"], TRUTH).bias
    assert bias["flops"].correlation is not None
    assert bias["flops"].correlation > 0.8
    assert bias["flops"].held_fixed is not None
    assert abs(bias["flops"].held_fixed) < 0.15
    assert bias["constant"].correlation is None
    assert bias["constant"].held_fixed is None


def test_undefined_scores_are_counted_and_omitted() -> None:
    score = SCORES["all"].copy()
    score[:100] = np.nan
    found = assess(score, TRUTH)
    assert (found.n, found.undefined) == (N - 100, 100)
    assert found.kendall.value == 1.0
    with pytest.raises(ValueError, match="defined on 9 of 600"):
        assess(np.where(np.arange(N) < 9, 1.0, np.nan), TRUTH)


def test_a_constant_score_is_undefined() -> None:
    found = assess(np.ones(N), TRUTH)
    assert str(found.kendall) == "undefined"
    assert found.verdict.startswith("undefined")


def _spread_out(n: int) -> tuple[np.ndarray, ReferenceData]:
    """Costs that grow by 3 % from one architecture to the next; the accuracy grows with them."""
    cost = 1.03 ** np.arange(n)
    return cost, ReferenceData(np.arange(n, dtype=float), np.empty((n, 0)), cost, {"flops": cost}, {}, seed=0)


def test_few_pairs_of_similar_cost_have_no_correlation() -> None:
    """Three neighbours on each side are within 10 %: 3 n - 6 pairs, of which 45 are needed."""
    cost, reference = _spread_out(16)
    found = assess(cost, reference)
    assert (found.pairs, found.equal_cost.value) == (42, None)
    assert found.kendall.value == 1.0


def test_pairs_of_similar_cost_are_compared_where_equal_ones_are_rare() -> None:
    """A score that is right only for neighbours: the blocks of five are in the wrong order."""
    cost, reference = _spread_out(50)
    found = assess(cost, reference)
    assert (found.pairs, found.equal_cost.value) == (144, 1.0)
    n = np.arange(50)
    found = assess((n % 5) - 100.0 * (n // 5), reference)
    # Of 144 pairs at distance 1, 2 and 3, (5 - d) of 5 lie in one block: 40 + 30 + 20.
    assert found.equal_cost.value == pytest.approx((90 - 54) / 144)
    assert found.kendall.value == pytest.approx((100 - 1125) / 1225)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.8, "better than flops: +0.30 [+0.01, +0.80]"),
        (-0.06, 0.86, "undecided against flops: +0.30 [-0.06, +0.86]"),
        (0.0, 0.8, "undecided against flops: +0.30 [+0.00, +0.80]"),
        (-0.8, -0.01, "worse than flops: +0.30 [-0.80, -0.01]"),
    ],
)
def test_a_verdict_is_better_worse_or_undecided(low: float, high: float, verdict: str) -> None:
    found = replace(assess(SCORES["all"], TRUTH), difference=Estimate(0.3, low, high))
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("adjusted", "verdict"),
    [(0.04, "better than flops: "), (0.06, "undecided against flops: "), (None, "better than ")],
)
def test_a_verdict_needs_a_small_corrected_probability(adjusted: float | None, verdict: str) -> None:
    found = replace(assess(SCORES["all"], TRUTH), difference=Estimate(0.3, 0.01, 0.8), adjusted=adjusted)
    assert found.verdict.startswith(verdict)


def test_holm_corrects_for_the_number_of_scores() -> None:
    """Holm, 1979: the smallest of four is multiplied by 4, the next by 3, and none is below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_verdicts_on_noise_are_rarely_wrong() -> None:
    """Scores that are as good as the free ones: 5 % of the tables may have a wrong verdict, whichever looks best."""
    wrong = 0
    for seed in range(15):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=60)
        free = {name: truth + rng.normal(size=60) for name in ("flops", "params", "live_params")}
        reference = ReferenceData(truth, np.empty((60, 0)), np.arange(60.0), free, {}, seed=seed)
        found = [assess(truth + rng.normal(size=60), reference).p for _ in range(4)]
        wrong += min(holm([p if p is not None else 1.0 for p in found])) <= 0.05
    assert wrong <= 4  # less than one is expected


def test_a_perfect_score_is_limited_by_the_noise_of_the_mean() -> None:
    """Normal accuracies with three seeds: tau of the truth with their means, from that of one seed with another."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=1500)
    seeds = truth[:, None] + 0.5 * rng.normal(size=(1500, 3))
    reference = ReferenceData(seeds.mean(1), seeds, np.arange(1500.0), {}, {}, seed=0)
    ceiling = noise_ceiling(reference)
    assert ceiling is not None
    assert (ceiling.n, ceiling.seeds) == (1500, 3)
    assert ceiling.perfect[0] == pytest.approx(kendalltau(truth, seeds.mean(1)).statistic, abs=0.01)
    half = np.where(np.arange(1500)[:, None] < 750, seeds, [1, 0, 0] * seeds + [0, np.nan, np.nan])
    part = noise_ceiling(replace(reference, seeds=half))
    assert part is not None
    assert part.n == 750
    assert part.seeds == pytest.approx(1.5)


def test_the_noise_ceiling_is_the_correlation_of_the_seeds() -> None:
    """Two normal variables of correlation r have a tau of 2 / pi arcsin r: here r = 1 / 1.09 at equal cost."""
    ceiling = noise_ceiling(TRUTH)
    assert ceiling is not None
    assert None not in (ceiling.overall, ceiling.equal_cost, ceiling.top)
    assert ceiling.equal_cost == pytest.approx(2 / np.pi * np.arcsin(1 / 1.09), abs=0.05)
    assert (ceiling.overall or 0) > (ceiling.equal_cost or 0) > (ceiling.top or 0) > 0
    alone = ReferenceData(TRUTH.accuracy, TRUTH.seeds[:, :1], TRUTH.cost, TRUTH.baselines, {}, seed=0)
    assert noise_ceiling(alone) is None
