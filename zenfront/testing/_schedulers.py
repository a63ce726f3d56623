"""The contract of a scheduler, on tabulated curves with a clock that only the simulation moves."""

import heapq
import itertools
from collections.abc import Mapping, Sequence

import pytest

from zenfront.pipeline.schedulers import MakeScheduler, Scheduler, TrainingBudget
from zenfront.pipeline.seeds import numpy_generator

Report = tuple[str, int, float | None]
Curves = Mapping[str, Sequence[float | None]]
EPOCHS = 12
WORKERS = (1, 2, 8)


def _new(make: MakeScheduler, trials: Sequence[str], epochs: int = EPOCHS) -> Scheduler:
    return make(TrainingBudget(tuple(trials), epochs, grace_period=1, reduction_factor=3))


def simulate(
    scheduler: Scheduler,
    curves: Curves,
    order: Sequence[str],
    workers: int,
    seconds: Mapping[str, float] | None = None,
) -> list[Report]:
    """Train as the stage does: a free worker takes the first run that may train; a failure is its last report."""
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


def _epochs_of(reports: Sequence[Report]) -> dict[str, int]:
    return {trial: epoch for trial, epoch, _ in reports}


def _parallel_curves(count: int) -> dict[str, list[float | None]]:
    """Curves that never cross: t0 is the worst at every epoch, the last is the best."""
    return {f"t{i}": [0.1 + 0.05 * i + 0.01 * epoch for epoch in range(EPOCHS)] for i in range(count)}


def _crossing_curves(count: int, seed: int) -> tuple[dict[str, list[float | None]], dict[str, float], list[str]]:
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


class SchedulerTestCase:
    """The contract of a scheduler; define the fixture ``scheduler``."""

    @pytest.fixture
    def scheduler(self) -> MakeScheduler:
        """The function that makes a scheduler from a `TrainingBudget`."""
        raise NotImplementedError("define the fixture `scheduler`, which returns the function that makes one")

    @pytest.fixture
    def finished_of_equals(self) -> int:
        """Return those of 31 equal runs with a reduction factor of 3 that are trained to the end: all of them.

        Override it for a synchronous scheduler, which keeps a fixed share whatever the values are.
        """
        return 31

    @pytest.mark.parametrize("workers", WORKERS)
    @pytest.mark.parametrize("order", ["best first", "worst first", "shuffled"])
    def test_the_best_run_is_trained_to_the_end(self, scheduler: MakeScheduler, workers: int, order: str) -> None:
        """The order of feeding and the number of workers do not stop the best run."""
        curves = _parallel_curves(9)
        feed = {"worst first": list(curves), "best first": list(curves)[::-1]}.get(order)
        feed = feed or [f"t{i}" for i in numpy_generator(1, "order").permutation(9)]
        made = _new(scheduler, feed)
        reports = simulate(made, curves, feed, workers)
        assert _epochs_of(reports)["t8"] == EPOCHS
        assert "t8" not in made.stopped

    @pytest.mark.parametrize("workers", WORKERS)
    @pytest.mark.parametrize("seed", range(8))
    def test_every_run_ends_finished_stopped_or_failed(self, scheduler: MakeScheduler, workers: int, seed: int) -> None:
        """No run waits for ever, and no epoch is trained twice."""
        curves, seconds, order = _crossing_curves(11, seed)
        made = _new(scheduler, order)
        reports = simulate(made, curves, order, workers, seconds)
        last = {trial: value for trial, _, value in reports}
        for trial, epoch in _epochs_of(reports).items():
            assert epoch <= EPOCHS
            assert epoch == EPOCHS or trial in made.stopped or last[trial] is None
        assert set(_epochs_of(reports)) == set(order)
        assert len({(trial, epoch) for trial, epoch, _ in reports}) == len(reports)

    @pytest.mark.parametrize("seed", range(4))
    def test_a_new_scheduler_that_is_given_the_record_decides_as_the_first_did(
        self, scheduler: MakeScheduler, seed: int
    ) -> None:
        """A scheduler is a function of the reports: after a crash the record gives back every decision."""
        curves, seconds, order = _crossing_curves(7, seed)
        reports = simulate(_new(scheduler, order), curves, order, 2, seconds)
        first = _new(scheduler, order)
        for cut, report in enumerate(reports):
            resumed = _new(scheduler, order)
            for old in reports[:cut]:
                resumed.report(*old)
            assert resumed.stopped == first.stopped
            assert [resumed.limit(trial) for trial in order] == [first.limit(trial) for trial in order]
            first.report(*report)

    @pytest.mark.parametrize("workers", WORKERS)
    def test_equal_runs_are_not_stopped_for_being_equal(
        self, scheduler: MakeScheduler, finished_of_equals: int, workers: int
    ) -> None:
        """Ties go on."""
        values: list[float | None] = [0.1 + 0.2] * EPOCHS
        curves = {f"t{i:02}": values for i in range(31)}
        reports = simulate(_new(scheduler, list(curves)), curves, list(curves), workers)
        assert sum(epoch == EPOCHS for epoch in _epochs_of(reports).values()) == finished_of_equals

    def test_no_run_may_train_past_the_end(self, scheduler: MakeScheduler) -> None:
        """One epoch is one epoch."""
        made = _new(scheduler, ["a", "b"], epochs=1)
        assert made.limit("a") == 1
        made.report("a", 1, 0.1)
        made.report("b", 1, 0.9)
        assert not made.stopped
        assert made.limit("a") == made.limit("b") == 1

    @pytest.mark.parametrize("worst", [None, float("nan"), float("inf"), float("-inf")])
    def test_a_run_without_a_finite_value_is_stopped_at_once_and_is_the_worst(
        self, scheduler: MakeScheduler, worst: float | None
    ) -> None:
        """A value that is not finite loses against every other, unless the scheduler stops nothing at all."""
        parallel = _parallel_curves(9)
        order = list(parallel)
        stopping = _new(scheduler, order)
        simulate(stopping, parallel, order, 1)
        curves: dict[str, list[float | None]] = {"bad": [worst] * EPOCHS, "good": [0.01] * EPOCHS}
        made = _new(scheduler, list(curves))
        epochs = _epochs_of(simulate(made, curves, ["bad", "good"], 1))
        assert epochs["good"] == EPOCHS
        if stopping.stopped:
            assert epochs["bad"] == made.limit("bad") == 1
            assert "no finite value" in made.stopped["bad"]
