"""Synchronous successive halving: a table computed by hand, and independence of the order of arrival."""

import itertools

import pytest

from zenfront.pipeline.schedulers import TrainingBudget
from zenfront.pipeline.schedulers.successive_halving import SuccessiveHalving


def halving(names: str, epochs: int = 9, factor: float = 2) -> SuccessiveHalving:
    return SuccessiveHalving(TrainingBudget(tuple(names), epochs, 2, factor))


def test_a_table_by_hand() -> None:
    """Rungs 2, 4, 8 at factor 2: 3 of 5 runs continue, then 2 of 3, then 1 of 2."""
    scheduler = halving("abcde")
    for trial, value in zip("abcde", (0.5, 0.1, 0.4, 0.2, 0.3), strict=True):
        scheduler.report(trial, 1, 0.0)
        assert scheduler.limit(trial) == 2
        scheduler.report(trial, 2, value)
    assert scheduler.stopped == {
        "d": "rung 2: 0.2 is number 4 of 5, 3 go on",
        "b": "rung 2: 0.1 is number 5 of 5, 3 go on",
    }
    assert [scheduler.limit(trial) for trial in "abcde"] == [4, 2, 4, 2, 4]
    for trial, value in zip("ace", (0.1, 0.2, 0.3), strict=True):
        scheduler.report(trial, 3, 0.9)
        scheduler.report(trial, 4, value)
    assert [scheduler.limit(trial) for trial in "ace"] == [4, 8, 8]
    for trial, value in zip("ce", (0.7, 0.6), strict=True):
        for epoch in (5, 6, 7):
            scheduler.report(trial, epoch, 0.0)
        scheduler.report(trial, 8, value)
    assert [scheduler.limit(trial) for trial in "ce"] == [9, 8]


@pytest.mark.parametrize("arrival", list(itertools.permutations("abcd")))
def test_the_order_of_arrival_does_not_matter(arrival: tuple[str, ...]) -> None:
    values = {"a": 0.3, "b": 0.7, "c": 0.7, "d": None}
    scheduler = halving("dcba", factor=4)
    for trial in arrival:
        scheduler.report(trial, 1, values[trial])
        if values[trial] is not None:
            scheduler.report(trial, 2, values[trial])
    assert scheduler.stopped == {
        "a": "rung 2: 0.3 is number 3 of 4, 1 go on",
        "c": "rung 2: 0.7 is number 2 of 4, 1 go on",  # b sorts first
        "d": "epoch 1: no finite value",
    }
    assert scheduler.limit("b") == 8


def test_no_run_continues_while_one_is_missing() -> None:
    scheduler = halving("ab")
    scheduler.report("a", 2, 0.9)
    scheduler.report("b", 1, 0.0)
    assert not scheduler.stopped
    assert scheduler.limit("a") == scheduler.limit("b") == 2


def test_failed_runs_are_counted_but_never_continue() -> None:
    """Two of four runs continue; when one of them fails later, the other remains alone."""
    scheduler = halving("abcd")
    for trial, value in (("a", None), ("b", None), ("c", 0.1), ("d", 0.2)):
        scheduler.report(trial, 2, value)
    assert set(scheduler.stopped) == {"a", "b"}
    scheduler.report("c", 3, None)
    scheduler.report("d", 4, 0.2)
    assert scheduler.limit("d") == 8
    scheduler.report("d", 8, 0.2)
    assert scheduler.limit("d") == 9


def test_all_may_fail() -> None:
    scheduler = halving("ab")
    scheduler.report("a", 1, None)
    scheduler.report("b", 2, None)
    assert set(scheduler.stopped) == {"a", "b"}
