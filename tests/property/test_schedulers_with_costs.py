"""Schedulers that compare by accuracy and cost: what they reduce to, and what must hold for any values and costs."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moocore import pareto_rank

from zenfront.pipeline.pareto import epsilon_net
from zenfront.pipeline.schedulers import MakeScheduler, Scheduler, TrainingBudget
from zenfront.pipeline.schedulers._comparison import compare
from zenfront.pipeline.schedulers._rungs import milestones, survivors, worth
from zenfront.pipeline.schedulers.asha import Asha
from zenfront.pipeline.schedulers.successive_halving import SuccessiveHalving
from zenfront.pipeline.seeds import numpy_generator

BOTH: list[MakeScheduler] = [Asha, SuccessiveHalving]
Report = tuple[str, int, float | None]
SEEDS = st.integers(0, 2**32 - 1)
FACTORS = [1.5, 2, 2.5, 3, 4]
EPOCHS = 12
WORST = -math.inf


class AshaByValue:
    """The rule before costs: a run below the interpolated quantile of the earlier values stops."""

    def __init__(self, budget: TrainingBudget) -> None:
        self.budget, self.stopped = budget, dict[str, Any]()
        self.rungs: dict[int, list[float]] = {
            rung: [] for rung in milestones(budget.grace_period, budget.reduction_factor, budget.epochs)
        }

    def report(self, trial: str, epoch: int, value: float | None) -> None:
        if trial in self.stopped:
            return
        worthy = worth(value)
        if worthy == WORST:
            self.stopped[trial] = epoch
            epoch = min((rung for rung in self.rungs if rung >= epoch), default=self.budget.epochs)
        if epoch in self.rungs:
            enough = self.cutoff(self.rungs[epoch])
            self.rungs[epoch].append(worthy)
            if WORST < worthy < enough - 1e-9:  # the tolerance is new: a rounding error used to break a tie
                self.stopped[trial] = epoch

    def cutoff(self, values: list[float]) -> float:
        if not values:
            return WORST
        ordered = sorted(values)
        position = round((len(ordered) - 1) * (1 - 1 / self.budget.reduction_factor), 9)
        below = math.floor(position)
        low = ordered[below]
        if position == below or low == WORST:
            return low
        return low + (ordered[below + 1] - low) * (position - below)

    def limit(self, trial: str) -> int:
        return int(self.stopped.get(trial, self.budget.epochs))


class HalvingByValue:
    """The rule before costs: of a rung's n runs the ceil(n / factor) with the highest value go on, ties by name."""

    def __init__(self, budget: TrainingBudget) -> None:
        self.budget, self.stopped = budget, dict[str, Any]()
        self.stations = [*milestones(budget.grace_period, budget.reduction_factor, budget.epochs), budget.epochs]
        self.field, self.values = list(budget.trials), dict[str, float]()

    def report(self, trial: str, epoch: int, value: float | None) -> None:
        if trial in self.stopped:
            return
        worthy = worth(value)
        if worthy == WORST:
            self.stopped[trial] = epoch
        if worthy == WORST or epoch == self.stations[0]:
            self.values[trial] = worthy
        if len(self.stations) > 1 and len(self.values) == len(self.field):
            rung = self.stations.pop(0)
            ranked = sorted(self.field, key=lambda name: (-self.values[name], name))
            kept = ranked[: survivors(len(ranked), self.budget.reduction_factor)]
            self.stopped |= {name: rung for name in ranked if name not in kept and name not in self.stopped}
            self.field, self.values = [name for name in kept if name not in self.stopped], {}

    def limit(self, trial: str) -> int:
        return int(self.stopped.get(trial, self.stations[0]))


BEFORE: dict[MakeScheduler, MakeScheduler] = {Asha: AshaByValue, SuccessiveHalving: HalvingByValue}


@st.composite
def budgets(draw: st.DrawFn, equal: bool = False) -> TrainingBudget:
    """Up to 10 runs with up to three costs, which often tie."""
    names = tuple(f"t{i:02}" for i in draw(st.permutations(range(draw(st.integers(1, 10))))))
    row = st.tuples(*[st.sampled_from([-1.0, 0.0, 1.0, 2.0, 30.0])] * draw(st.integers(1, 3)))
    same = draw(row)
    costs = {name: same if equal else draw(row) for name in names}
    images = draw(st.sampled_from([None, 10, 1000]))
    return TrainingBudget(names, EPOCHS, draw(st.integers(1, 3)), draw(st.sampled_from(FACTORS)), costs, images)


def train(scheduler: Scheduler, budget: TrainingBudget, seed: int) -> Iterator[Report]:
    """Report epochs of runs in random order until no run may train any further; values tie, some are not finite."""
    rng = numpy_generator(seed, "training")
    done, dead = dict.fromkeys(budget.trials, 0), set[str]()
    while ready := [trial for trial in done if trial not in dead and done[trial] < scheduler.limit(trial)]:
        trial = ready[int(rng.integers(len(ready)))]
        done[trial] += 1
        value: float | None = float(rng.integers(21) / 20)
        if rng.random() < 0.03:
            value = [None, math.nan, math.inf, -math.inf][int(rng.integers(4))]
            dead.add(trial)
        report = (trial, done[trial], value)
        scheduler.report(*report)
        yield report


def decisions(scheduler: Scheduler, budget: TrainingBudget) -> dict[str, tuple[int, str | None]]:
    return {trial: (scheduler.limit(trial), scheduler.stopped.get(trial)) for trial in budget.trials}


def first_rung(make: MakeScheduler, budget: TrainingBudget, values: Mapping[str, float]) -> Scheduler:
    """A scheduler to which all runs have reported that they are at their first rung."""
    scheduler = make(budget)
    for trial, value in values.items():
        scheduler.report(trial, budget.grace_period, value)
    return scheduler


def draw_values(budget: TrainingBudget, seed: int, worst: float = 0.1) -> dict[str, float]:
    rng = numpy_generator(seed, "values")
    drawn = {trial: float(rng.integers(21) / 20) for trial in rng.permutation(budget.trials)}
    return {str(trial): value if rng.random() > worst else math.nan for trial, value in drawn.items()}


def exactly_dominates(a: str, b: str, budget: TrainingBudget, values: Mapping[str, float]) -> bool:
    mine, other = (-values[a], *budget.costs[a]), (-values[b], *budget.costs[b])
    return mine != other and all(x <= y for x, y in zip(mine, other, strict=True))


@pytest.mark.parametrize("make", BOTH)
@given(budgets(equal=True), st.booleans(), SEEDS)
def test_without_costs_or_with_equal_ones_the_rule_is_that_of_the_values(
    make: MakeScheduler, budget: TrainingBudget, without: bool, seed: int
) -> None:
    budget = replace(budget, costs={}) if without else budget
    ours, before = make(budget), BEFORE[make](budget)
    for report in train(ours, budget, seed):
        before.report(*report)
        assert set(ours.stopped) == set(before.stopped)
        assert [ours.limit(trial) for trial in budget.trials] == [before.limit(trial) for trial in budget.trials]


@pytest.mark.parametrize("make", BOTH)
@given(budgets(), SEEDS)
def test_every_decision_is_taken_again_from_any_prefix_of_the_record(
    make: MakeScheduler, budget: TrainingBudget, seed: int
) -> None:
    record = list(train(make(budget), budget, seed))
    first = make(budget)
    for cut in range(0, len(record), max(1, len(record) // 8)):
        resumed = make(budget)
        for report in record[:cut]:
            resumed.report(*report)
        first = make(budget) if cut == 0 else first
        assert decisions(resumed, budget) == decisions(first, budget)
        for report in record[cut : cut + max(1, len(record) // 8)]:
            first.report(*report)


@pytest.mark.parametrize("make", BOTH)
@given(budgets(), SEEDS)
def test_every_run_finishes_is_stopped_with_a_reason_or_fails(
    make: MakeScheduler, budget: TrainingBudget, seed: int
) -> None:
    scheduler = make(budget)
    last = {trial: (epoch, value) for trial, epoch, value in train(scheduler, budget, seed)}
    for trial, (epoch, value) in last.items():
        assert epoch == EPOCHS or trial in scheduler.stopped
        if epoch < EPOCHS and value is not None and math.isfinite(value):
            named = re.search(r"; (t\d\d) (dominates it|stands beside it)", scheduler.stopped[trial])
            assert named
            assert named[1] in set(budget.trials) - {trial}


@given(budgets(), SEEDS)
def test_successive_halving_does_not_depend_on_the_order_of_arrival(budget: TrainingBudget, seed: int) -> None:
    values = draw_values(budget, seed)
    found = [
        decisions(first_rung(SuccessiveHalving, budget, {trial: values[trial] for trial in order}), budget)
        for order in (sorted(values), sorted(values, reverse=True), list(values))
    ]
    assert found[0] == found[1] == found[2]


@given(budgets(), SEEDS)
def test_a_dominated_run_goes_on_only_with_all_that_dominate_it(budget: TrainingBudget, seed: int) -> None:
    """Without the tolerance for noise or with it: dominance here is the exact one."""
    values = draw_values(budget, seed, worst=0.0)
    scheduler = first_rung(SuccessiveHalving, budget, values)
    for a, b in itertools.permutations(budget.trials, 2):
        if b not in scheduler.stopped and exactly_dominates(a, b, budget, values):
            assert a not in scheduler.stopped


@given(budgets(), SEEDS)
def test_successive_halving_fills_its_places_or_more_with_extremes(budget: TrainingBudget, seed: int) -> None:
    values = draw_values(budget, seed)
    scheduler = first_rung(SuccessiveHalving, budget, values)
    finite = sum(math.isfinite(value) for value in values.values())
    places = min(finite, survivors(len(values), budget.reduction_factor))
    extremes = min(finite, 1 + len(budget.costs[budget.trials[0]]))
    assert places <= len(values) - len(scheduler.stopped) <= max(places, extremes)


@pytest.mark.parametrize("make", BOTH)
@given(budgets(), SEEDS)
def test_the_most_accurate_and_the_cheapest_go_on(make: MakeScheduler, budget: TrainingBudget, seed: int) -> None:
    budget = replace(budget, validation_images=None)
    values = draw_values(budget, seed)
    scheduler = first_rung(make, budget, values)
    finite = [trial for trial in values if math.isfinite(values[trial])]
    best = [max(values[trial] for trial in finite)] if finite else []
    assert all(any(values[t] == v and t not in scheduler.stopped for t in finite) for v in best)
    for cost in range(len(budget.costs[budget.trials[0]]) if finite else 0):
        least = min(budget.costs[trial][cost] for trial in finite)
        assert any(budget.costs[t][cost] == least and t not in scheduler.stopped for t in finite)


@pytest.mark.parametrize("make", BOTH)
@given(budgets(), SEEDS)
def test_runs_that_are_equal_in_everything_are_not_stopped_by_asha(
    make: MakeScheduler, budget: TrainingBudget, seed: int
) -> None:
    """Successive halving keeps its places; ASHA lets ties go on."""
    budget = replace(budget, costs=dict.fromkeys(budget.trials, budget.costs[budget.trials[0]]))
    scheduler = first_rung(make, budget, dict.fromkeys(budget.trials, 0.5))
    kept = len(budget.trials) - len(scheduler.stopped)
    assert kept == (len(budget.trials) if make is Asha else survivors(len(budget.trials), budget.reduction_factor))


@given(budgets(), SEEDS)
def test_ranks_are_those_of_non_dominated_sorting_without_a_tolerance(budget: TrainingBudget, seed: int) -> None:
    values = draw_values(budget, seed, worst=0.0)
    losses = np.array([(-value, *budget.costs[trial]) for trial, value in values.items()])
    found = compare(values, replace(budget, validation_images=None), epsilon_net)
    assert found.ranks.tolist() == (1 + pareto_rank(losses)).tolist()


@given(budgets(), st.integers(1, 100), SEEDS)
def test_with_a_tolerance_every_run_has_a_rank_and_a_dominator_on_every_rank_below(
    budget: TrainingBudget, images: int, seed: int
) -> None:
    values = draw_values(budget, seed, worst=0.0)
    found = compare(values, replace(budget, validation_images=images), epsilon_net)
    for run, rank in enumerate(found.ranks):
        dominators = np.flatnonzero(found.dominates[:, run])
        assert set(range(1, rank)) <= set(found.ranks[dominators].tolist())
        assert rank not in found.ranks[dominators]
    for (i, a), (j, b) in itertools.permutations(enumerate(found.names), 2):
        if exactly_dominates(a, b, budget, values):
            assert found.ranks[i] < found.ranks[j]
        assert not (found.dominates[i, j] and found.dominates[j, i])


@pytest.mark.parametrize("make", BOTH)
def test_one_run_alone_finishes(make: MakeScheduler) -> None:
    budget = TrainingBudget(("only",), 9, 1, 3, {"only": (5.0,)}, 100)
    scheduler = make(budget)
    for epoch in range(1, 10):
        assert scheduler.limit("only") >= epoch
        scheduler.report("only", epoch, 0.1)
    assert not scheduler.stopped
