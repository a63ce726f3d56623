"""Runs that set out in rounds: tables computed by hand."""

import itertools

import pytest

from zenfront.pipeline import schedulers
from zenfront.pipeline.schedulers import TrainingBudget
from zenfront.pipeline.schedulers._scheduler import Scheduler

FIRST = {"a": 0.5, "b": 0.4, "c": 0.3, "d": 0.2}


def budget(*rounds: str, costs: dict[str, float] | None = None) -> TrainingBudget:
    """Rungs 2, 4, 8 at factor 2."""
    named = {name: (cost,) for name, cost in (costs or {}).items()}
    return TrainingBudget(tuple("".join(rounds)), 9, 2, 2, named, rounds=tuple(map(tuple, rounds)))


def train(scheduler: Scheduler, accuracy: dict[str, float]) -> dict[str, int]:
    """Train the runs together, each as far as it may; return their epochs."""
    epochs = dict.fromkeys(accuracy, 0)
    while moving := [name for name in accuracy if epochs[name] < scheduler.limit(name)]:
        for name in moving:
            epochs[name] += 1
            scheduler.report(name, epochs[name], accuracy[name])
    return epochs


@pytest.mark.parametrize(
    ("second", "epochs"),
    [
        ({"e": 0.6, "f": 0.55}, 9),  # both are ahead of all, and one of two goes on
        ({"e": 0.45, "f": 0.1}, 8),  # second of six, of three, and of two, of which one goes on
        ({"e": 0.35, "f": 0.1}, 4),  # third of six, of which three go on, and of three, of which two do
        ({"e": 0.25, "f": 0.1}, 2),  # fourth of six
    ],
)
def test_a_round_is_halved_and_compared_with_what_the_first_has_shown(second: dict[str, float], epochs: int) -> None:
    scheduler = schedulers.load("successive_halving")(budget("abcd", "ef"))
    assert train(scheduler, FIRST) == {"a": 9, "b": 4, "c": 2, "d": 2}
    assert train(scheduler, second) == {"e": epochs, "f": 2}


def test_the_reason_names_the_whole_field() -> None:
    scheduler = schedulers.load("successive_halving")(budget("abcd", "ef"))
    train(scheduler, FIRST)
    train(scheduler, {"e": 0.25, "f": 0.1})
    assert scheduler.stopped["e"] == (
        "rung 2: rank 4, number 4 of 6, 0 of its round go on; a dominates it (0.5 against 0.25)"
    )


def test_a_cheaper_run_goes_on_though_it_is_less_accurate() -> None:
    costs = {"a": 8.0, "b": 7.0, "c": 6.0, "d": 5.0, "e": 1.0, "f": 9.0}
    scheduler = schedulers.load("successive_halving")(budget("abcd", "ef", costs=costs))
    train(scheduler, FIRST)
    assert train(scheduler, {"e": 0.1, "f": 0.15}) == {"e": 9, "f": 2}


@pytest.mark.parametrize("arrival", list(itertools.permutations("efg")))
def test_the_order_of_arrival_within_a_round_does_not_matter(arrival: tuple[str, ...]) -> None:
    values = {"e": 0.45, "f": 0.42, "g": 0.1}
    scheduler = schedulers.load("successive_halving")(budget("abcd", "efg"))
    train(scheduler, FIRST)
    assert train(scheduler, {name: values[name] for name in arrival}) == {"e": 8, "f": 4, "g": 2}


@pytest.mark.parametrize("name", schedulers.names())
def test_a_round_to_come_changes_no_decision(name: str) -> None:
    """The second round has a cost of 0, which a logarithmic axis could not show."""
    costs = {"a": 1.0, "b": 10.0, "c": 100.0, "d": 1000.0, "e": 0.0, "f": 500.0}
    alone = schedulers.load(name)(budget("abcd", costs={each: costs[each] for each in "abcd"}))
    both = schedulers.load(name)(budget("abcd", "ef", costs=costs))
    accuracy = {"d": 0.44, "c": 0.43, "b": 0.42, "a": 0.41}
    assert train(alone, accuracy) == train(both, accuracy)
    assert alone.stopped == both.stopped


def test_asha_compares_a_later_round_with_the_earlier_ones() -> None:
    """Of e, f the first at a rung would go on by itself; here four were there before, and the median is 0.35."""
    scheduler = schedulers.load("asha")(budget("abcd", "ef"))
    train(scheduler, dict(reversed(FIRST.items())))
    scheduler.report("e", 2, 0.3)
    assert "number 4 of 5" in scheduler.stopped["e"]
    scheduler.report("f", 2, 0.6)
    assert "f" not in scheduler.stopped


def test_rounds_hold_each_run_once() -> None:
    with pytest.raises(ValueError, match="the rounds must hold each of the runs once"):
        TrainingBudget(("a", "b"), 9, 2, 2, rounds=(("a",), ("a", "b")))
