"""Synchronous successive halving: a table computed by hand, and independence of the order of arrival."""

import itertools
import math

import pytest

from zenfront.pipeline.pareto import crowding_distance, epsilon_net
from zenfront.pipeline.schedulers import TrainingBudget
from zenfront.pipeline.schedulers._comparison import Spread
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
        "d": "rung 2: rank 4, number 4 of 5, 3 go on; a dominates it (0.5 against 0.2)",
        "b": "rung 2: rank 5, number 5 of 5, 3 go on; a dominates it (0.5 against 0.1)",
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
        "a": "rung 2: rank 2, number 3 of 4, 1 go on; b dominates it (0.7 against 0.3)",
        "c": "rung 2: rank 1, number 2 of 4, 1 go on; b stands beside it (0.7 against 0.7)",  # b sorts first
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


def test_a_failed_run_takes_no_free_place() -> None:
    """Of four that set out two may go on, but three have failed; the one that is left goes on alone to the end."""
    scheduler = halving("abcd")
    for trial in "abc":
        scheduler.report(trial, 1, None)
    for epoch in range(1, 9):
        scheduler.report("d", epoch, 0.2)
    assert scheduler.limit("d") == 9


def test_all_may_fail() -> None:
    scheduler = halving("ab")
    scheduler.report("a", 1, None)
    scheduler.report("b", 2, None)
    assert set(scheduler.stopped) == {"a", "b"}


FRONT = {"a": (1.0, 0.2), "b": (2.0, 0.35), "c": (4.0, 0.5), "d": (8.0, 0.8), "e": (16.0, 0.9), "f": (16.0, 0.85)}
"""Costs and values; all but f are on the front."""


def halved(factor: float, spread: Spread = epsilon_net) -> SuccessiveHalving:
    costs = {name: (cost,) for name, (cost, _) in FRONT.items()}
    scheduler = SuccessiveHalving(TrainingBudget(tuple(FRONT), 9, 2, factor, costs), spread)
    for name, (_, value) in FRONT.items():
        scheduler.report(name, 2, value)
    return scheduler


def test_a_rung_with_costs_by_hand() -> None:
    """The net starts at e, the most accurate, and goes on with a, the farthest; then c, b, d.

    In units of the front (value from 0.2 to 0.9, four doublings of the cost) the distances to the nearest of e and a
    are: b (0.25, 0.214) from a = 0.33, c (0.5, 0.429) from a = 0.66, d (0.25, 0.143) from e = 0.29. Then c is nearest
    to b, as far as a is.
    """
    expected = {6: "ae", 3: "ae", 2: "ace", 1.5: "abce", 1.2: "abcde"}
    for factor, kept in expected.items():
        assert set(FRONT) - set(halved(factor).stopped) == set(kept)
    stopped = halved(2).stopped
    assert stopped["d"] == "rung 2: rank 1, number 5 of 6, 3 go on; e stands beside it (0.9 against 0.8)"
    assert stopped["f"] == "rung 2: rank 2, number 6 of 6, 3 go on; e dominates it (0.9 against 0.85)"


def test_a_spread_can_be_given() -> None:
    """Crowding distances in the same units: b 0.5 + 0.429, c 0.5 + 0.643, d 0.5 + 0.571."""
    stopped = halved(1.5, lambda losses: -crowding_distance(losses)).stopped
    assert set(stopped) == {"b", "f"}


def test_the_extremes_of_every_cost_go_on_even_without_a_place() -> None:
    costs = {"a": (1.0, 9.0), "b": (9.0, 1.0), "c": (9.0, 9.0), "d": (5.0, 5.0)}
    scheduler = SuccessiveHalving(TrainingBudget(tuple(costs), 9, 2, 4, costs))
    for trial, value in (("a", 0.1), ("b", 0.2), ("c", 0.9), ("d", 0.8)):
        scheduler.report(trial, 2, value)
    assert set(scheduler.stopped) == {"d"}


@pytest.mark.parametrize(
    ("costs", "images", "message"),
    [
        ({"a": (1.0,)}, None, "b has none"),
        ({"a": (1.0,), "b": (1.0, 2.0)}, None, r"same number of costs, but got \[1, 2\]"),
        ({"a": (1.0,), "b": (math.nan,)}, None, "finite, but b has"),
        ({}, 0, "validation_images >= 1"),
    ],
)
def test_a_wrong_budget_is_refused(costs: dict[str, tuple[float, ...]], images: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingBudget(("a", "b"), 9, 1, 3, costs, images)
