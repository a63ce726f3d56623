"""What the terminal says about the trained networks."""

import pytest

from zenfront.pipeline.cli.terminal.trained_summary import sentence
from zenfront.pipeline.results.trained_networks import CostAxis, Pick, PickName, Reference, TrainedFront, TrainedNetwork
from zenfront.pipeline.wording import quantity

UNITS = {"flops": "multiply-adds"}


def front_of(flops: list[float], picks: dict[PickName, int], accuracy: list[float] | None = None) -> TrainedFront:
    reached = accuracy or [0.975, 0.992]
    networks = tuple(
        TrainedNetwork(f"n{i}", "", {"flops": cost}, reached[i], [0.006, 0.003][i], 3, "finished", 27, True)
        for i, cost in enumerate(flops)
    )
    reference = Reference(0.1, {"flops": CostAxis(1e5, 1e7, True)})
    named = tuple(Pick(name, f"n{index}", "") for name, index in picks.items())
    return TrainedFront(("accuracy", "flops"), networks, 0.5, reference, named)


BOTH: dict[PickName, int] = {"most_accurate": 1, "knee": 0, "cheapest_within_noise": 1}


def test_the_sentence_of_the_issue() -> None:
    assert sentence(front_of([250_000.0, 12_500_000.0], BOTH), UNITS.__getitem__) == (
        "n0 reaches 97.5 ± 0.6 % at 0.25 M multiply-adds, one 50th of the most accurate, n1, which has 99.2 ± 0.3 %."
    )


@pytest.mark.parametrize(
    ("most", "share"),
    [
        (1.25e6, "80 %"),
        (2e6, "half"),
        (3.1e6, "a third"),
        (4e6, "one 4th"),
        (21e6, "one 21st"),
        (42e6, "one 42nd"),
        (103e6, "one 103rd"),
        (112e6, "one 112th"),
        (1e9, "one 1,000th"),
    ],
)
def test_the_share_of_the_cost_in_words(most: float, share: str) -> None:
    said = sentence(front_of([1e6, most], BOTH), UNITS.__getitem__)
    assert f"at 1 M multiply-adds, {share} of the most accurate" in said


def test_without_a_knee_the_cheapest_within_the_noise_is_named() -> None:
    picks: dict[PickName, int] = {"most_accurate": 1, "knee": 1, "cheapest_within_noise": 0}
    assert sentence(front_of([1e6, 2e6], picks), UNITS.__getitem__).startswith("n0 reaches 97.5 ± 0.6 %")


def test_without_a_cheaper_pick_the_most_accurate_stands_alone() -> None:
    picks: dict[PickName, int] = {"most_accurate": 1, "knee": 1, "cheapest_within_noise": 1}
    said = sentence(front_of([1e6, 2e6], picks), UNITS.__getitem__)
    assert said == "n1 reaches 99.2 ± 0.3 % at 2 M multiply-adds: the most accurate, and no pick is cheaper."


def test_without_a_cost_there_is_one_winner() -> None:
    network = TrainedNetwork("n0", "", {}, 0.992, None, 1, "finished", 27, True)
    front = TrainedFront(("accuracy",), (network,), 0.5, Reference(0.1, {}), (Pick("most_accurate", "n0", ""),))
    assert sentence(front, UNITS.__getitem__) == "n0 is the most accurate: 99.2 %."


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (250_000.0, "multiply-adds", "0.25 M multiply-adds"),
        (86_272.0, "multiply-adds", "86,272 multiply-adds"),
        (12_345_678.0, "multiply-adds", "12.3 M multiply-adds"),
        (4.1e9, "multiply-adds", "4.1 G multiply-adds"),
        (0.0123456, "seconds", "0.0123 seconds"),
        (7.0, "convolutions", "7 convolutions"),
    ],
)
def test_quantities(value: float, unit: str, shown: str) -> None:
    assert quantity(value, unit) == shown
