"""Distribution functions and their differences, against closed forms and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, norm

from zenfront.pipeline.analysis.distributions.complexity import automatic_bins, share_bins, shared_limits
from zenfront.pipeline.analysis.distributions.difference import (
    Pool,
    asymptotic_p,
    bootstrap,
    interval_of_d,
    permutation_p,
)
from zenfront.pipeline.analysis.distributions.edf import area, edf
from zenfront.pipeline.analysis.distributions.studies import (
    best_range,
    powers_of_two,
    random_search_efficiency,
    sample_size_study,
)
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.seeds import numpy_generator

ERRORS = st.lists(st.integers(0, 20).map(float), min_size=2, max_size=30).map(np.array)


def equal(n: int) -> np.ndarray:
    return np.full(n, 1 / n)


def test_the_inequality_is_strict() -> None:
    function = edf(np.array([3.0, 1.0, 3.0, 7.0]))
    assert function(np.array([0, 1, 1.5, 3, 3.5, 7, 8])).tolist() == [0, 0, 0.25, 0.25, 0.75, 0.75, 1]


def test_weights_count_in_the_distribution() -> None:
    function = edf(np.array([2.0, 1.0]), np.array([0.9, 0.1]))
    assert function(np.array([1.5, 2.5])).tolist() == [0.1, 1.0]


def test_area_is_the_integral_of_the_distribution() -> None:
    errors = np.array([1.0, 3.0, 12.0])
    # 1 - (1/10 + 3/10 + 1) / 3
    assert float(area(errors, equal(3), 10.0)) == pytest.approx(1 - 1.4 / 3)
    at = np.linspace(0, 10, 100_001)
    assert float(area(errors, equal(3), 10.0)) == pytest.approx(np.trapezoid(edf(errors)(at), at) / 10, abs=1e-4)


@given(ERRORS, ERRORS)
def test_d_and_p_are_those_of_scipy(first: np.ndarray, second: np.ndarray) -> None:
    oracle = ks_2samp(first, second, method="asymp")
    found = Pool(first, second).difference(equal(len(first)), equal(len(second)))
    assert found.d == pytest.approx(oracle.statistic)
    assert asymptotic_p(first, second) == pytest.approx(oracle.pvalue)


@given(ERRORS)
def test_order_and_duplication_change_nothing(errors: np.ndarray) -> None:
    at = np.linspace(-1, 21, 45)
    doubled = np.concatenate([errors, errors[::-1]])
    assert edf(doubled)(at) == pytest.approx(edf(errors)(at))
    assert Pool(errors, doubled).difference(equal(len(errors)), equal(len(doubled))).d == pytest.approx(0, abs=1e-12)


@given(st.integers(0, 10_000))
def test_weights_sum_to_one_and_each_bin_has_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = [rng.uniform(0, 1, (60, 2)), rng.uniform(0.2, 1.5, (40, 2))]
    binning = share_bins(samples, 3, shared_limits(samples, ["params", "flops"]))
    for position in (0, 1):
        weights = binning.weights(position)
        assert weights.sum() == pytest.approx(1)
        for cell in binning.kept:
            assert weights[binning.cells[position] == cell].sum() == pytest.approx(1 / len(binning.kept))


def test_weights_are_one_over_bins_times_models() -> None:
    first, second = np.array([[0.0], [1], [2], [9], [10]]), np.array([[0.0], [10.0]])
    binning = share_bins([first, second], 2, shared_limits([first, second], ["flops"]))
    assert binning.weights(0).tolist() == pytest.approx([1 / 6] * 3 + [1 / 4] * 2)
    assert binning.weights(1).tolist() == [0.5, 0.5]


def test_an_empty_bin_is_left_out_of_both_samples() -> None:
    first, second = np.array([[0.0], [5.0], [9.0]]), np.array([[0.0], [1.0], [9.0]])
    binning = share_bins([first, second], 3, [(0.0, 9.0)])
    assert (binning.kept.tolist(), binning.empty.tolist()) == ([0, 2], [1])
    assert binning.weights(0).tolist() == [0.5, 0.0, 0.5]
    assert binning.weights(1).tolist() == [0.25, 0.25, 0.5]


def test_a_bin_that_a_resample_empties_gives_its_weight_to_the_others() -> None:
    sample = np.array([[0.0], [9.0], [9.0]])
    binning = share_bins([sample, sample], 2, [(0.0, 9.0)])
    assert binning.weights(0, np.array([0.0, 1, 2])).tolist() == pytest.approx([0, 1 / 3, 2 / 3])


def test_samples_without_overlap_are_refused_with_their_ranges() -> None:
    with pytest.raises(UserError, match=r"do not overlap in params: their ranges are 1 to 2, 3 to 4"):
        shared_limits([np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]])], ["params"])


def test_bins_are_forty_for_thousands_of_models() -> None:
    assert automatic_bins([np.zeros((5000, 1)), np.zeros((3000, 1))]) == 40
    assert automatic_bins([np.zeros((40, 1)), np.zeros((3000, 1))]) == 4
    assert automatic_bins([np.zeros((12, 1))]) == 1


def test_equal_weights_at_equal_complexity_change_nothing() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(10, 1, 60), rng.normal(11, 1, 60)
    cost = np.repeat([[0.0], [1.0], [2.0]], 20, axis=0)
    binning = share_bins([cost, cost], 3, [(0.0, 2.0)])
    pool = Pool(first, second)
    assert pool.difference(binning.weights(0), binning.weights(1)).d == pytest.approx(
        pool.difference(equal(60), equal(60)).d
    )


def test_a_difference_that_is_one_of_complexity_vanishes_at_equal_complexity() -> None:
    """Errors depend on the cost alone, and the second sample holds more cheap models."""
    rng = np.random.default_rng(1)
    costs = [np.sort(rng.uniform(0, 1, (400, 1)), axis=0) ** power for power in (0.5, 2.0)]
    errors = [20 - 10 * cost[:, 0] + rng.normal(0, 1, 400) for cost in costs]
    binning = share_bins(costs, 40, shared_limits(costs, ["flops"]))
    pool = Pool(*errors)
    weights, nowhere = (binning.weights(0), binning.weights(1)), (np.zeros(400), np.zeros(400))
    assert permutation_p(pool, (equal(400), equal(400)), nowhere, numpy_generator(0, "plain")) < 0.01
    assert permutation_p(pool, weights, (binning.cells[0], binning.cells[1]), numpy_generator(0, "equal")) > 0.05


def test_the_permutation_test_agrees_with_the_limit_distribution() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(0, 1, 200), rng.normal(0.15, 1, 300)
    nowhere = (np.zeros(200), np.zeros(300))
    p = permutation_p(Pool(first, second), (equal(200), equal(300)), nowhere, numpy_generator(0, "p"), 2000)
    assert p == pytest.approx(ks_2samp(first, second, method="asymp").pvalue, abs=0.05)


def test_the_bootstrap_spreads_as_the_mean_does() -> None:
    values = np.arange(100.0)
    means = bootstrap((100, 2), lambda first, _: first @ values / 100, numpy_generator(0, "b"), 4000)
    assert means.mean() == pytest.approx(49.5, abs=0.2)
    assert means.std() == pytest.approx(values.std() / 10, rel=0.05)


def test_the_interval_of_d_holds_the_true_distance() -> None:
    """Normal errors half a deviation apart: D = 2 Phi(1/4) - 1. Percentiles alone hold it in two of three cases."""
    rng, true, n = np.random.default_rng(7), 2 * norm.cdf(0.25) - 1, 40
    found = []
    for _ in range(150):
        pool = Pool(rng.normal(0, 1, n), rng.normal(0.5, 1, n))
        d = pool.difference(equal(n), equal(n)).d

        def apart(first: np.ndarray, second: np.ndarray, pool: Pool = pool) -> np.ndarray:
            return np.asarray(np.maximum(*pool.extremes(pool.signed(first / n, second / n))))

        low, high = interval_of_d(d, bootstrap((n, n), apart, rng, 200), p=0.0)
        found.append((low <= true <= high, low <= d <= high))
    assert np.mean([holds for holds, _ in found]) > 0.82
    assert np.mean([itself for _, itself in found]) > 0.98


def test_the_interval_of_d_of_equal_distributions_holds_0() -> None:
    """In 95 % of all cases, the level of the permutation test; 5 sd of 200 cases are 8 %."""
    rng, n = np.random.default_rng(8), 40
    found = []
    for _ in range(200):
        pool, weights = Pool(rng.normal(0, 1, n), rng.normal(0, 1, n)), (equal(n), equal(n))
        p = permutation_p(pool, weights, (np.zeros(n), np.zeros(n)), rng, 99)
        found.append(interval_of_d(pool.difference(*weights).d, rng.uniform(0.2, 0.5, 100), p)[0] == 0)
    assert np.mean(found) > 0.87


def test_the_interval_holds_d_and_leaves_out_resamples_without_models() -> None:
    """The sample of one bin may not occur in a resample; its weights are then not a number."""
    assert interval_of_d(0.0, np.array([0.0, 0.1, np.nan, 0.2]), 1.0) == (0.0, 0.0)
    binning = share_bins([np.array([[1.0], [2.0]]), np.array([[1.0], [2.0]])], 1, [(1.0, 1.5)])
    assert np.isnan(binning.weights(0, np.array([0.0, 2.0]))).all()
    assert binning.weights(0, np.array([2.0, 0.0])).tolist() == [1.0, 0.0]


def test_the_best_of_two_of_four_errors() -> None:
    """With replacement, the minimum of two of 1, 2, 3, 4 is 1, 2, 3, 4 in 7, 5, 3, 1 of 16 cases: 1.875 on average."""
    errors = np.tile([1.0, 2, 3, 4], 5000)
    [one, two] = random_search_efficiency(errors, equal(20_000), [1, 2], numpy_generator(0, "rs"))
    assert (one.trials, two.trials) == (20_000, 10_000)
    assert one.mean == pytest.approx(2.5, abs=0.03)
    assert two.mean == pytest.approx(30 / 16, abs=0.03)
    assert two.deviation == pytest.approx(np.sqrt((7 + 20 + 27 + 16) / 16 - (30 / 16) ** 2), rel=0.03)


def test_random_search_follows_the_weights() -> None:
    [spread] = random_search_efficiency(np.array([1.0, 9.0]), np.array([0.0, 1.0]), [1], numpy_generator(0, "w"))
    assert (spread.mean, spread.deviation) == (9.0, 0.0)


def test_a_larger_part_is_nearer_to_the_whole() -> None:
    errors = np.random.default_rng(3).normal(0, 1, 1000)
    spreads = sample_size_study(errors, [10, 100, 1000], numpy_generator(0, "n"))
    assert spreads[0].mean > 2 * spreads[1].mean > spreads[2].mean == pytest.approx(0, abs=1e-12)
    assert powers_of_two(1000) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def test_d_of_a_part_is_that_of_scipy() -> None:
    errors = np.random.default_rng(6).integers(0, 30, 200).astype(float)
    [spread] = sample_size_study(errors, [40], numpy_generator(0, "n"), trials=1)
    part = np.sort(errors)[numpy_generator(0, "n").permutation(200)[:40]]
    assert spread.mean == pytest.approx(ks_2samp(part, errors).statistic)


def test_the_best_range_holds_the_best_value() -> None:
    values = np.linspace(0, 1, 401)
    low, median, high = best_range(values, (values - 0.3) ** 2, numpy_generator(0, "range"))
    assert low < 0.3 < high
    assert (low, median, high) == pytest.approx((0.3, 0.3, 0.3), abs=0.03)


def test_distributions_agree_where_minima_differ() -> None:
    """A hundred and a thousand models of one space: the larger sample has the lower minimum in 10 of 11 cases."""
    rng = np.random.default_rng(4)
    population = rng.gamma(2, 3, 20_000) + 5
    draws = [(rng.choice(population, 100), rng.choice(population, 1000)) for _ in range(1000)]
    agree = np.mean([asymptotic_p(small, large) > 0.05 for small, large in draws])
    lower = np.mean([large.min() < small.min() for small, large in draws])
    assert agree == pytest.approx(0.95, abs=0.025)
    assert lower == pytest.approx(10 / 11, abs=0.03)
