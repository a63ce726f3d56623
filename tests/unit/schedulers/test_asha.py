"""ASHA's rule, computed by hand and compared with Ray's scheduler where Ray's is correct."""

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from zenfront.pipeline.schedulers import TrainingBudget
from zenfront.pipeline.schedulers.asha import Asha
from zenfront.pipeline.seeds import numpy_generator


def asha(epochs: int = 27, factor: float = 3) -> Asha:
    return Asha(TrainingBudget(("a", "b", "c", "d"), epochs, 1, factor))


def test_a_rung_by_hand() -> None:
    """Rung 1 at factor 3: the cutoffs are 0.3, then 0.3 + 2/3 * 0.3 = 0.5, then 0.4 + 1/3 * 0.2 = 0.4667."""
    scheduler = asha()
    for trial, value in (("a", 0.3), ("b", 0.6), ("c", 0.4), ("d", 0.45)):
        scheduler.report(trial, 1, value)
    assert scheduler.stopped == {
        "c": "rung 1: rank 2, number 2 of 3, the best 1/3 go on; b dominates it (0.6 against 0.4)",
        "d": "rung 1: rank 2, number 2 of 4, the best 1/3 go on; b dominates it (0.6 against 0.45)",
    }
    assert [scheduler.limit(trial) for trial in "abcd"] == [27, 27, 1, 1]


def test_a_tie_with_the_cutoff_continues() -> None:
    scheduler = asha()
    for trial in "abcd":
        scheduler.report(trial, 1, 0.5)
    assert not scheduler.stopped


@pytest.mark.parametrize(("low", "high"), [(0.24, 0.27), (0.25, 0.265), (0.2, 0.29), (0.1, 0.34), (0.02, 0.38)])
def test_a_tie_with_an_interpolated_cutoff_goes_on(low: float, high: float) -> None:
    """The 2/3 quantile of each pair is 0.26; "0.26 < 0.26" used to stop the run by a rounding error."""
    scheduler = asha()
    for trial, value in (("a", low), ("b", high), ("c", 0.26)):
        scheduler.report(trial, 1, value)
    assert not scheduler.stopped
    scheduler = asha()
    for trial, value in (("a", low), ("b", high), ("c", 0.26 - 1e-8)):
        scheduler.report(trial, 1, value)
    assert set(scheduler.stopped) == {"c"}


def test_runs_are_compared_by_value_and_cost() -> None:
    """Factor 3: of two earlier runs the best and more go on, of three the best, of four the best two.

    a is the first, b the most accurate, c the cheapest. d has rank 2: b dominates it. e is on the front; the net starts
    at b, the most accurate, and goes on with c, the farthest, then a, then e. f is the most accurate.
    """
    costs = {"a": (4.0,), "b": (8.0,), "c": (1.0,), "d": (16.0,), "e": (2.0,), "f": (9.0,)}
    scheduler = Asha(TrainingBudget(tuple(costs), 27, 1, 3, costs))
    for trial, value in (("a", 0.5), ("b", 0.8), ("c", 0.1), ("d", 0.7), ("e", 0.3), ("f", 0.9)):
        scheduler.report(trial, 1, value)
    assert scheduler.stopped == {
        "d": "rung 1: rank 2, number 4 of 4, the best 1/3 go on; b dominates it (0.8 against 0.7)",
        "e": "rung 1: rank 1, number 4 of 5, the best 1/3 go on; c stands beside it (0.1 against 0.3)",
    }


def test_a_run_between_two_is_stopped_if_the_point_between_them_dominates_it() -> None:
    """Two runs were there, so that the quantile is 2/3 of the way from the worse (1, 0.2) to the better (100, 0.8).

    That point has 0.6 at a cost of 100 ** (2 / 3) = 21.5. A run within the front of the two is between them unless
    it is an extreme. Here the spread orders the front by value, so that the run between is the one between in value.
    """

    def by_value(losses: np.ndarray) -> np.ndarray:
        return losses[:, 0].argsort().argsort()

    for cost, value, stops in ((50.0, 0.5, True), (20.0, 0.5, False), (50.0, 0.61, False), (22.0, 0.59, True)):
        costs = {"a": (1.0,), "b": (100.0,), "c": (cost,)}
        scheduler = Asha(TrainingBudget(tuple(costs), 27, 1, 3, costs), spread=by_value)
        for trial, reported in (("a", 0.2), ("b", 0.8), ("c", value)):
            scheduler.report(trial, 1, reported)
        assert set(scheduler.stopped) == ({"c"} if stops else set())


def test_within_the_noise_the_cheaper_run_dominates() -> None:
    """With 100 images the standard error of 0.8 is 0.04: 0.839 at twice the cost is behind 0.8, and 0.841 is not."""
    costs = {"a": (1.0,), "b": (2.0,)}
    for images, value, stops in ((100, 0.839, True), (100, 0.841, False), (10_000, 0.83, False), (None, 0.83, False)):
        scheduler = Asha(TrainingBudget(("a", "b"), 27, 1, 3, costs, images))
        scheduler.report("a", 1, 0.8)
        scheduler.report("b", 1, value)
        assert set(scheduler.stopped) == ({"b"} if stops else set())


def test_a_value_counts_at_its_own_rung_only() -> None:
    """Epochs between rungs have no effect: a run resumed at epoch 2 adds no value to rung 1 (in Ray's ASHA it does)."""
    scheduler = asha()
    scheduler.report("a", 2, 0.9)
    scheduler.report("b", 1, 0.1)
    assert not scheduler.stopped


def test_a_failed_run_is_the_worst_of_its_next_rung() -> None:
    """At rung 4 c meets the median of the failure and 0.2; without the failure it would be 0.2."""
    scheduler = asha(factor=2, epochs=8)
    for trial, epoch, value in (("a", 1, 0.5), ("a", 3, None), ("b", 4, 0.2), ("c", 4, 0.1)):
        scheduler.report(trial, epoch, value)
    assert scheduler.stopped == {"a": "epoch 3: no finite value"}


def _ray_decisions(budget: TrainingBudget, reports: list[tuple[str, int, float]]) -> Iterator[bool]:
    """Return whether Ray's scheduler stops at each report; a stopped run reports no more."""
    from ray.tune.schedulers import AsyncHyperBandScheduler

    scheduler = AsyncHyperBandScheduler(
        metric="value",
        mode="max",
        max_t=budget.epochs,
        grace_period=budget.grace_period,
        reduction_factor=budget.reduction_factor,
    )
    trials: dict[str, Any] = {name: SimpleNamespace(trial_id=name) for name in budget.trials}
    for trial in trials.values():
        scheduler.on_trial_add(None, trial)
    stopped: set[str] = set()
    for name, epoch, value in reports:
        if name not in stopped:
            result = {"training_iteration": epoch, "value": value}
            if scheduler.on_trial_result(None, trials[name], result) == "STOP" and epoch < budget.epochs:
                stopped.add(name)
        yield name in stopped


@pytest.mark.global_rng
@pytest.mark.parametrize("seed", range(10))
def test_on_finite_distinct_values_it_decides_as_rays_asha(seed: int) -> None:
    rng = numpy_generator(seed, "oracle")
    names = tuple(f"t{i}" for i in range(12))
    budget = TrainingBudget(names, 20, int(rng.integers(1, 4)), float(rng.choice([2, 3, 4])))
    done = dict.fromkeys(names, 0)
    reports = []
    while any(epoch < budget.epochs for epoch in done.values()):
        name = str(rng.choice([n for n in names if done[n] < budget.epochs]))
        done[name] += 1
        reports.append((name, done[name], float(rng.random())))
    ours, decided = Asha(budget), []
    for name, epoch, value in reports:
        ours.report(name, epoch, value)
        decided.append(name in ours.stopped)
    assert decided == list(_ray_decisions(budget, reports))
    assert 0 < len(ours.stopped) < len(names)


@pytest.mark.global_rng
def test_nan_continues_in_rays_asha_but_not_in_ours() -> None:
    """This is the reason for our own implementation; reconsider it if Ray changes."""
    budget = TrainingBudget(("a", "b"), 9, 1, 3)
    reports = [("a", 1, 0.5), ("b", 1, math.nan)]
    assert list(_ray_decisions(budget, reports)) == [False, False]
    ours = Asha(budget)
    for report in reports:
        ours.report(*report)
    assert set(ours.stopped) == {"b"}


@pytest.mark.global_rng
def test_rounding_does_not_break_a_tie_with_the_cutoff_and_in_rays_asha_it_does() -> None:
    """The 2/3 quantile of 0, 1, ..., 9 is 6; in floating point (1 - 1/3) * 9 is a little more than 6."""
    names = tuple(f"t{i}" for i in range(11))
    budget = TrainingBudget(names, 9, 1, 3)
    reports = [(name, 1, float(value)) for name, value in zip(names, [*range(10), 6], strict=True)]
    assert list(_ray_decisions(budget, reports)) == [False] * 10 + [True]
    ours = Asha(budget)
    for report in reports:
        ours.report(*report)
    assert not ours.stopped
