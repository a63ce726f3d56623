"""What every scheduler keeps, shown on tabulated curves with a clock that only the simulation moves."""

import heapq
import itertools
from collections.abc import Mapping, Sequence

import pytest

from zenfront.pipeline import schedulers
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.schedulers import Scheduler, TrainingBudget
from zenfront.pipeline.seeds import numpy_generator

Report = tuple[str, int, float | None]
EPOCHS = 12
WORKERS = (1, 2, 8)


def new_scheduler(name: str, trials: Sequence[str], epochs: int = EPOCHS) -> Scheduler:
    return schedulers.load(name)(TrainingBudget(tuple(trials), epochs, grace_period=1, reduction_factor=3))


def simulate(
    scheduler: Scheduler,
    curves: Mapping[str, Sequence[float | None]],
    order: Sequence[str],
    workers: int,
    seconds: Mapping[str, float] | None = None,
) -> list[Report]:
    """Trains as the stage does: a free worker takes the first run that may train; a failure is its last report."""
    done = dict.fromkeys(order, 0)
    dead: set[str] = set()
    busy: list[tuple[float, int, str]] = []
    reports: list[Report] = []
    ticket, now = itertools.count(), 0.0
    while True:
        for trial in order:
            ready = trial not in dead and done[trial] < scheduler.limit(trial)
            if len(busy) < workers and ready and trial not in [name for *_, name in busy]:
                heapq.heappush(busy, (now + (seconds or {}).get(trial, 1.0), next(ticket), trial))
        if not busy:
            return reports
        now, _, trial = heapq.heappop(busy)
        value = curves[trial][done[trial]]
        done[trial] += 1
        reports.append((trial, done[trial], value))
        scheduler.report(*reports[-1])
        if value is None:
            dead.add(trial)
        elif done[trial] < scheduler.limit(trial):
            heapq.heappush(busy, (now + (seconds or {}).get(trial, 1.0), next(ticket), trial))


def epochs_of(reports: Sequence[Report]) -> dict[str, int]:
    return {trial: epoch for trial, epoch, _ in reports}


def parallel_curves(count: int) -> dict[str, list[float | None]]:
    """Curves that never cross: t0 is the worst at every epoch, the last is the best."""
    return {f"t{i}": [0.1 + 0.05 * i + 0.01 * epoch for epoch in range(EPOCHS)] for i in range(count)}


def crossing_curves(count: int, seed: int) -> tuple[dict[str, list[float | None]], dict[str, float], list[str]]:
    """Random curves, seconds per epoch and an order; some fail, some tie."""
    rng = numpy_generator(seed, "curves")
    curves: dict[str, list[float | None]] = {}
    for i in range(count):
        values: list[float | None] = [round(float(v), 1) for v in rng.random(EPOCHS)]
        if rng.random() < 0.2:
            values[int(rng.integers(EPOCHS))] = [None, float("nan"), float("inf")][int(rng.integers(3))]
        curves[f"t{i}"] = values
    seconds = {trial: float(rng.uniform(0.2, 5)) for trial in curves}
    return curves, seconds, [f"t{i}" for i in rng.permutation(count)]


@pytest.mark.parametrize("name", schedulers.names())
@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("order", ["best first", "worst first", "shuffled"])
def test_the_best_run_is_trained_to_the_end(name: str, workers: int, order: str) -> None:
    curves = parallel_curves(9)
    feed = {"worst first": list(curves), "best first": list(curves)[::-1]}.get(order)
    feed = feed or [f"t{i}" for i in numpy_generator(1, "order").permutation(9)]
    scheduler = new_scheduler(name, feed)
    reports = simulate(scheduler, curves, feed, workers)
    assert epochs_of(reports)["t8"] == EPOCHS
    assert "t8" not in scheduler.stopped


@pytest.mark.parametrize("name", schedulers.names())
@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("seed", range(8))
def test_every_run_ends_finished_stopped_or_failed(name: str, workers: int, seed: int) -> None:
    curves, seconds, order = crossing_curves(11, seed)
    scheduler = new_scheduler(name, order)
    reports = simulate(scheduler, curves, order, workers, seconds)
    last = {trial: value for trial, _, value in reports}
    for trial, epoch in epochs_of(reports).items():
        assert epoch <= EPOCHS
        assert epoch == EPOCHS or trial in scheduler.stopped or last[trial] is None
    assert set(epochs_of(reports)) == set(order)
    assert len({(trial, epoch) for trial, epoch, _ in reports}) == len(reports)


@pytest.mark.parametrize("name", schedulers.names())
@pytest.mark.parametrize("seed", range(4))
def test_a_new_scheduler_that_is_given_the_record_decides_as_the_first_did(name: str, seed: int) -> None:
    curves, seconds, order = crossing_curves(7, seed)
    reports = simulate(new_scheduler(name, order), curves, order, 2, seconds)
    first = new_scheduler(name, order)
    for cut, report in enumerate(reports):
        resumed = new_scheduler(name, order)
        for old in reports[:cut]:
            resumed.report(*old)
        assert resumed.stopped == first.stopped
        assert [resumed.limit(trial) for trial in order] == [first.limit(trial) for trial in order]
        first.report(*report)


@pytest.mark.parametrize("name", schedulers.names())
@pytest.mark.parametrize("workers", WORKERS)
def test_equal_runs_are_not_stopped_for_being_equal(name: str, workers: int) -> None:
    values: list[float | None] = [0.1 + 0.2] * EPOCHS
    curves = {f"t{i:02}": values for i in range(31)}
    scheduler = new_scheduler(name, list(curves))
    reports = simulate(scheduler, curves, list(curves), workers)
    finished = sum(epoch == EPOCHS for epoch in epochs_of(reports).values())
    # Rungs 1, 3, 9: synchronous halving keeps ceil(n / 3) all the same, 31 -> 11 -> 4 -> 2.
    assert finished == {"successive_halving": 2}.get(name, 31)


@pytest.mark.parametrize("name", schedulers.names())
def test_no_run_may_train_past_the_end(name: str) -> None:
    scheduler = new_scheduler(name, ["a", "b"], epochs=1)
    assert scheduler.limit("a") == 1
    scheduler.report("a", 1, 0.1)
    scheduler.report("b", 1, 0.9)
    assert not scheduler.stopped
    assert scheduler.limit("a") == scheduler.limit("b") == 1


@pytest.mark.parametrize("name", [name for name in schedulers.names() if name != "fifo"])
@pytest.mark.parametrize("worst", [None, float("nan"), float("inf"), float("-inf")])
def test_a_run_without_a_finite_value_is_stopped_at_once_and_is_the_worst(name: str, worst: float | None) -> None:
    curves: dict[str, list[float | None]] = {"bad": [worst] * EPOCHS, "good": [0.01] * EPOCHS}
    scheduler = new_scheduler(name, list(curves))
    reports = simulate(scheduler, curves, ["bad", "good"], 1)
    assert epochs_of(reports) == {"bad": 1, "good": EPOCHS}
    assert "no finite value" in scheduler.stopped["bad"]
    assert scheduler.limit("bad") == 1


def test_a_wrong_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="asha, fifo, successive_halving"):
        schedulers.load("hyperbandd")
