from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zenfront.pipeline.analysis.correlation import kendall, overlap, partial, spearman, weighted_tau
from zenfront.pipeline.analysis.resampling import draw_resamples, estimate
from zenfront.pipeline.analysis.strata import count_similar_pairs

ONE = np.ones((1, 4), dtype=np.float32)
TABLE = Path(__file__).parents[5] / "shared/data/nasbench201_cifar10.parquet"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_tau_b_and_rho_with_ties_are_scipys_on_every_resample(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=float).T
    counts = draw_resamples(len(x), seed=1, count=3)
    taus, rhos = kendall(x, y, counts), spearman(x, y, counts)
    for often, tau, rho in zip(counts.astype(int), taus, rhos, strict=True):
        drawn = np.repeat(np.arange(len(x)), often)
        if np.ptp(x[drawn]) == 0 or np.ptp(y[drawn]) == 0:
            assert np.isnan(tau)
            assert np.isnan(rho)
        else:
            assert tau == pytest.approx(stats.kendalltau(x[drawn], y[drawn]).statistic, abs=1e-12)
            assert rho == pytest.approx(stats.spearmanr(x[drawn], y[drawn]).statistic, abs=1e-9)


def test_at_equal_cost_only_its_pairs_count() -> None:
    # Overall (1,3), (2,4), (3,1), (4,2) is discordant but for the two pairs of equal cost, {0, 1} and {2, 3}.
    x, y, cost = np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 1, 2]), np.array([0, 0, 1, 1])
    assert kendall(x, y, ONE)[0] == pytest.approx(-2 / 6)
    assert kendall(x, y, ONE, cost)[0] == 1.0
    # A pair that is tied in x is not compared: 1 of 2 pairs remains for x, both for y.
    assert kendall(np.array([1.0, 1, 3, 4]), y, ONE, cost)[0] == pytest.approx(1 / 2**0.5)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 40)), min_size=2, max_size=15))
def test_pairs_of_similar_cost_are_those_of_the_definition(rows: list[tuple[int, int, int]]) -> None:
    x, y, cost = np.array(rows, dtype=float).T
    pairs = [(i, j) for i, j in combinations(range(len(x)), 2) if max(cost[i], cost[j]) <= 1.1 * min(cost[i], cost[j])]
    signs = np.array([(np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i, j in pairs]).reshape(-1, 2)
    found = kendall(x, y, np.ones((1, len(x)), dtype=np.float32), cost, 0.1)[0]
    comparable = np.abs(signs).sum(0)
    assert count_similar_pairs(cost, 0.1) == len(pairs)
    if comparable.all() and len(pairs):
        assert found == pytest.approx((signs[:, 0] * signs[:, 1]).sum() / np.sqrt(comparable.prod()))
    else:
        assert np.isnan(found)


def test_a_constant_score_is_undefined() -> None:
    constant, y = np.ones(4), np.arange(4.0)
    for values in (kendall(constant, y, ONE), spearman(constant, y, ONE), weighted_tau(constant, y, ONE)):
        assert estimate(values).value is None
    assert str(estimate(kendall(constant, y, ONE))) == "undefined"


def test_weighted_tau_counts_the_best_most() -> None:
    # The example of scipy's documentation.
    x, y = np.array([12.0, 2, 1, 12, 2]), np.array([1.0, 4, 7, 1, 0])
    assert weighted_tau(x, y, np.ones((1, 5)))[0] == pytest.approx(-0.56694968153682723)


def test_partial_tau_is_kendalls() -> None:
    # Kendall and Gibbons, Rank Correlation Methods (1990): (xy - xz yz) / sqrt((1 - xz^2) (1 - yz^2)).
    assert partial(0.5, 0.6, 0.8) == pytest.approx((0.5 - 0.48) / (0.8 * 0.6))
    assert partial(0.5, 1.0, 0.5) is None


def test_overlap_counts_ties_at_the_edge_in_proportion() -> None:
    y = np.array([1.0, 2, 3, 4])
    assert overlap(np.array([4.0, 3, 2, 1]), y, 2) == 0
    assert overlap(y, y, 2) == 1
    assert overlap(np.ones(4), y, 2) == 0.5  # a constant score selects no better than chance


def test_the_interval_is_that_of_the_normal_distribution() -> None:
    """The mean of 400 standard normal numbers is within 0.05 x 1.96; percentiles of 500 resamples deviate by 10 %."""
    values = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    found = estimate((draw_resamples(400, seed=0) * values).mean(1))
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.low == pytest.approx(-0.098, abs=0.02)
    assert found.high == pytest.approx(0.098, abs=0.02)


@pytest.mark.skipif(not TABLE.exists(), reason=f"{TABLE} is absent")
def test_params_on_nasbench201_correlate_as_published() -> None:
    """Published for all 15,625: .578 / .753, and 0.08 among the best tenth. The table lacks a fifth of the classes."""
    table = pytest.importorskip("pyarrow.parquet").read_table(TABLE, columns=["params", "test_accuracy"])
    x, y = (table[name].to_numpy().astype(float) for name in ("params", "test_accuracy"))
    one = np.ones((1, len(x)), dtype=np.float32)
    assert kendall(x, y, one)[0] == pytest.approx(0.578, abs=0.01)
    assert spearman(x, y, one)[0] == pytest.approx(0.753, abs=0.01)
    best = y >= np.quantile(y, 0.9)
    assert kendall(x[best], y[best], one[:, best])[0] == pytest.approx(0.08, abs=0.03)
