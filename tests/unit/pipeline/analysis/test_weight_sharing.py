"""Rankings under shared weights, against scipy, closed forms and the record of "Deeper insights into weight sharing".

``tests/golden/supernet64.npz`` has the public record of the paper (ultmaster/deeper-insights-weight-sharing, MIT): mean
and deviation of the accuracy of 64 architectures trained alone, and their accuracy after each of the last 128 steps of
a supernet, in hundredths of a percent. The expected values were computed from that record by others.
"""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from zenfront.pipeline.analysis.weight_sharing.agreement import best_rank, gt_tau, last_steps, tau_matrix, top_tau
from zenfront.pipeline.analysis.weight_sharing.bias import operation_shares, property_bias, rank_error
from zenfront.pipeline.analysis.weight_sharing.instances import over_instances, s_tau
from zenfront.pipeline.analysis.weight_sharing.limits import random_rankings, stand_alone_runs
from zenfront.pipeline.errors import UserError

GOLDEN = Path(__file__).parents[3] / "golden" / "supernet64.npz"
RANKINGS = st.lists(st.lists(st.integers(0, 4).map(float), min_size=6, max_size=6), min_size=2, max_size=4)


@pytest.fixture(scope="module")
def record() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return {name: file[name] for name in file} | {"steps": file["steps"] / 100}


def test_agreement_with_the_truth_in_the_paper_s_record(record: dict[str, np.ndarray]) -> None:
    taus = gt_tau(record["steps"], record["mean"])
    assert (round(taus.mean(), 3), round(taus.std(), 3)) == (0.508, 0.151)
    assert (round(taus.min(), 3), round(taus.max(), 3)) == (0.131, 0.741)
    last = last_steps(record["steps"], record["mean"], 64)
    assert (round(last.mean, 3), round(last.sd, 3), round(last.of_mean, 3)) == (0.508, 0.153, 0.642)
    assert round(last_steps(record["steps"], record["mean"], 128).of_mean, 3) == 0.658


def test_agreement_of_the_steps_in_the_paper_s_record(record: dict[str, np.ndarray]) -> None:
    spread = s_tau(record["steps"][::8], seed=0)
    assert spread.mean.value == pytest.approx(0.498, abs=5e-4)
    assert spread.mean.low is not None
    assert spread.mean.high is not None
    assert spread.mean.low < 0.498 < spread.mean.high


def test_best_ranks_in_the_paper_s_record(record: dict[str, np.ndarray]) -> None:
    ranks = [best_rank(record["steps"], record["mean"], n).mean() for n in (1, 3, 5)]
    assert ranks[0] == pytest.approx(13.9, abs=0.05)
    assert ranks[1] == pytest.approx(9.6, abs=0.1)
    assert ranks[2] < ranks[1]


def test_limits_of_the_paper_s_space(record: dict[str, np.ndarray]) -> None:
    alone = stand_alone_runs(record["mean"], record["sd"], 100, seed=0)
    assert s_tau(alone, seed=0).mean.value == pytest.approx(0.72, abs=0.01)
    assert gt_tau(alone, record["mean"]).mean() == pytest.approx(0.79, abs=0.01)
    floor = random_rankings(64, 200, seed=0)
    taus = gt_tau(floor, record["mean"])
    assert taus.mean() == pytest.approx(0, abs=0.02)
    assert taus.std() == pytest.approx(np.sqrt(2 * (2 * 64 + 5) / (9 * 64 * 63)), rel=0.15)  # Kendall, 1938
    assert best_rank(floor, record["mean"], 1).mean() == pytest.approx(65 / 2, rel=0.1)


@given(RANKINGS)
def test_every_pair_is_kendall_s_tau_b(rankings: list[list[float]]) -> None:
    values = np.array(rankings)
    matrix = tau_matrix(values, values)
    for i, j in combinations(range(len(values)), 2):
        assert matrix[i, j] == pytest.approx(kendalltau(values[i], values[j]).statistic, nan_ok=True)


def test_many_architectures_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(0, 30, (3, 50)).astype(float)
    whole = tau_matrix(values, values[:2])
    monkeypatch.setattr("zenfront.pipeline.analysis.weight_sharing.agreement.BLOCK", 500)
    assert np.allclose(tau_matrix(values, values[:2]), whole, atol=1e-12)


def test_the_best_tenth_is_that_of_the_truth() -> None:
    truth = np.arange(60.0)
    ranking = truth.copy()
    ranking[54:] = ranking[54:][::-1]
    assert top_tau(np.stack([ranking, truth]), truth).tolist() == [-1, 1]
    assert np.isnan(top_tau(truth[None, :30], truth[:30])).all()  # three architectures


@given(st.lists(st.integers(0, 3), min_size=2, max_size=6), st.integers(1, 6), st.randoms(use_true_random=False))
def test_ties_at_the_edge_count_by_the_expected_rank(values: list[int], count: int, random: object) -> None:
    n, count = len(values), min(count, len(values))
    truth = np.random.default_rng(sum(values)).permutation(n).astype(float)
    ranking, ranks = np.array(values, dtype=float), n - truth
    edge = np.sort(ranking)[-count]
    above = [i for i in range(n) if ranking[i] > edge]
    choices = list(combinations([i for i in range(n) if ranking[i] == edge], count - len(above)))
    expected = np.mean([min(ranks[i] for i in (*above, *choice)) for choice in choices])
    assert best_rank(ranking[None], truth, count)[0] == pytest.approx(expected)


def test_a_constant_ranking_has_no_agreement_and_is_left_out() -> None:
    truth = np.arange(8.0)
    values = np.stack([truth, np.ones(8), truth, -truth])
    spread = over_instances(gt_tau(values, truth), seed=0)
    assert spread.mean.value is not None
    assert (spread.count, spread.least, spread.most) == (3, -1, 1)
    assert spread.mean.value == pytest.approx(1 / 3)
    assert s_tau(values, seed=0).mean.value == pytest.approx(-1 / 3)


def test_two_instances_have_no_interval() -> None:
    values = np.stack([np.arange(8.0), np.arange(8.0)])
    assert s_tau(values, seed=0).mean.low is None
    assert over_instances(np.array([0.1, 0.3]), seed=0).mean.low is None


def test_the_interval_covers_the_mean_of_the_population() -> None:
    generator = np.random.default_rng(0)
    held = [over_instances(generator.normal(0.5, 0.1, 10), seed).mean for seed in range(200)]
    inside = sum(e.low is not None and e.high is not None and e.low < 0.5 < e.high for e in held)
    assert 0.83 < inside / 200 < 0.98


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(UserError, match=r"at least 2 are needed, but got 1"):
        s_tau(np.ones((1, 8)), seed=0)
    with pytest.raises(UserError, match=r"\(k=3, steps=2\)"):
        last_steps(np.ones((2, 8)), np.arange(8.0), 3)


def test_a_ranking_by_size_is_biased_towards_it() -> None:
    params, truth = np.array([1.0, 2, 3, 4, 5]), np.array([5.0, 4, 3, 2, 1])
    assert rank_error(params, truth).tolist() == [-4, -2, 0, 2, 4]
    bias = property_bias(params, truth, params)
    assert (bias.ranking, bias.truth, bias.error) == (1, -1, 1)
    fair = property_bias(truth, truth, params)
    assert (fair.ranking, fair.truth, fair.error) == (-1, -1, None)


def test_operations_are_counted_among_the_best() -> None:
    values, truth = np.array([4.0, 3, 2, 1]), np.array([1.0, 2, 3, 4])
    counts = {"conv": np.array([3, 2, 1, 0]), "skip": np.array([0, 1, 2, 3])}
    conv = operation_shares(values, truth, counts, 2)["conv"]
    assert (conv.ranked, conv.truth, conv.everywhere) == (5 / 6, 1 / 6, 1 / 2)
