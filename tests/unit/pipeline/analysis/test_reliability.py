"""Reliability at equal cost: closed forms, and data whose reliability is known by construction."""

import numpy as np
import pytest

from zenfront.pipeline.analysis.reliability import plan_repeats, reliability, reliability_of_mean

COST = np.full(6, 10.0)


def simulated(single: float, slope: float = 0.0, n: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, standard errors and costs of scores with a reliability, three samples of each."""
    rng = np.random.default_rng(0)
    log_cost = rng.normal(size=n)
    true = slope * log_cost + np.sqrt(single) * rng.normal(size=n)
    samples = true[:, None] + np.sqrt(1 - single) * rng.normal(size=(n, 3))
    return samples.mean(1), samples.std(1, ddof=1) / np.sqrt(3), np.exp(log_cost)


@pytest.mark.parametrize("single", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("slope", [0.0, 5.0])
def test_it_is_that_of_the_data_whatever_the_cost_explains(single: float, slope: float) -> None:
    means, errors, cost = simulated(single, slope)
    assert reliability(means, errors, 3, cost) == pytest.approx(single, abs=0.02)


def test_by_hand() -> None:
    """Means 1 to 6 have the variance 3.5; errors of 0.5 after four samples are a variance of 1 of one sample."""
    means, errors = np.arange(1.0, 7.0), np.full(6, 0.5)
    assert reliability(means, errors, 4, COST) == pytest.approx((3.5 - 0.25) / (3.5 - 0.25 + 1))


def test_a_positive_score_over_orders_of_magnitude_is_compared_by_its_logarithm() -> None:
    means = np.exp(np.arange(1.0, 7.0))
    found = reliability(means, 0.5 * means, 4, COST)
    assert found == pytest.approx((3.5 - 0.25) / (3.5 - 0.25 + 1))


def test_noise_alone_has_none_and_a_constant_is_undefined() -> None:
    assert reliability(np.ones(6), np.ones(6), 3, COST) == 0
    assert reliability(np.ones(6), np.zeros(6), 3, COST) is None


def test_fewer_than_six_architectures_say_nothing() -> None:
    means = np.array([1.0, 2, 3, 4, 5, np.nan])
    assert reliability(means, np.full(6, 0.1), 3, COST) is None
    assert reliability(np.arange(6.0), np.full(6, 0.1), 3, np.array([1.0, 1, 1, 1, 1, 0])) is None


@pytest.mark.parametrize(
    ("single", "repeats", "mean"),
    [(0.95, 1, 0.95), (0.9, 1, 0.9), (0.75, 3, 0.9), (0.74, 4, 0.919), (0.5, 8, 8 / 9), (0.2, 8, 2 / 3), (0.0, 8, 0.0)],
)
def test_the_least_number_of_repeats_that_reaches_nine_tenths_is_planned(
    single: float, repeats: int, mean: float
) -> None:
    """Spearman-Brown: 3 * 0.75 / (1 + 2 * 0.75) = 0.9."""
    found = plan_repeats(single)
    assert found.repeats == repeats
    assert found.mean == pytest.approx(mean, abs=0.001)
    assert found.reaches_target is (mean >= 0.9)


def test_unknown_reliability_is_one_repeat() -> None:
    found = plan_repeats(None)
    assert (found.repeats, found.mean, found.reaches_target) == (1, None, False)


def test_the_mean_of_samples_is_as_reliable_as_spearman_and_brown_say() -> None:
    noise = np.random.default_rng(1).normal(size=(2, 4000)) * np.sqrt(0.7 / 5)
    true = np.sqrt(0.3) * np.random.default_rng(2).normal(size=4000)
    assert np.corrcoef(true + noise[0], true + noise[1])[0, 1] == pytest.approx(reliability_of_mean(0.3, 5), abs=0.02)
