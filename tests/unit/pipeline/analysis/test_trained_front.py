"""The trained front against closed forms, and what holds for any accuracies and costs."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenfront.pipeline.analysis.accuracy_cost_box import Box, box_around, hypervolume_in
from zenfront.pipeline.analysis.front_comparison import TrainedNetworks, compare_fronts
from zenfront.pipeline.analysis.trained_front import TrainedFront, accuracy_at_cost, mean_and_error, trained_front
from zenfront.pipeline.seeds import numpy_generator

# Four on the front, one (3) dominated by the two cheaper and better ones.
ACCURACY = np.array([0.90, 0.50, 0.88, 0.85, 0.80])
ERROR = np.array([0.01, 0.01, 0.005, 0.01, 0.01])
FLOPS = np.array([[1000.0], [1.0], [100.0], [500.0], [10.0]])


def front_of(accuracy: np.ndarray = ACCURACY, error: np.ndarray = ERROR, costs: np.ndarray = FLOPS) -> TrainedFront:
    return trained_front(accuracy, error, costs, cost_names=["flops", "params"][: costs.shape[1]], chance=0.1)


def test_who_is_on_the_front_and_who_dominates_whom() -> None:
    found = front_of()
    assert found.front == (1, 4, 2, 0)
    assert found.dominated_by == ((), (), (), (2,), ())


def test_pairs_that_the_noise_cannot_tell_apart() -> None:
    """0.90 and 0.88: 0.02 <= 1.96 * sqrt(0.01 ** 2 + 0.005 ** 2) = 0.0219; 0.88 and 0.85: 0.03; 0.85 and 0.80: 0.05."""
    assert front_of().indistinct == ((0, 2),)
    assert front_of(error=np.full(5, 0.02)).indistinct == ((0, 2), (0, 3), (2, 3), (3, 4))
    assert front_of(error=np.zeros(5)).indistinct == ()


def test_picks_and_their_reasons() -> None:
    """Heights above the line between the ends: (0.80 - 0.50) / 0.4 - 1/3 = 0.417, (0.88 - 0.50) / 0.4 - 2/3 = 0.283."""
    best, knee, cheapest = front_of().picks
    assert (best.name, best.index) == ("most_accurate", 0)
    assert best.reason == (
        "highest mean accuracy, 90.0 %, standard error 1.0 %; the noise cannot tell 1 other of the front from it"
    )
    assert (knee.name, knee.index) == ("knee", 4)
    assert knee.reason == "farthest above the line between the ends of the front: 80.0 % at 10 flops"
    assert (cheapest.name, cheapest.index) == ("cheapest_within_noise", 2)
    assert cheapest.reason == (
        "lowest flops within the noise of the most accurate: 2.0 % ± 1.1 % behind it, at 10.0 % of its flops"
    )


def test_one_network_has_all_names() -> None:
    found = front_of(np.array([0.7]), np.array([0.0]), np.array([[5.0]]))
    assert [pick.index for pick in found.picks] == [0, 0, 0]
    assert found.picks[2].reason == "none with lower flops is within the noise of the most accurate"
    assert found.picks[1].reason.startswith("nearest to the line between the ends of the front, which no")
    assert found.hypervolume == pytest.approx((0.7 - 0.1) / 0.9)


def test_of_equally_accurate_networks_the_cheaper_is_picked() -> None:
    found = front_of(np.array([0.7, 0.7]), np.zeros(2), np.array([[5.0, 1.0], [4.0, 2.0]]))
    assert found.front == (1, 0)
    assert found.picks[0].index == 1


def test_hypervolume_of_two_networks() -> None:
    """The cheaper covers half of the height over the whole width, the dearer the rest from 1 / 1.1 of the width on."""
    found = front_of(np.array([0.55, 1.0]), np.zeros(2), np.array([[1.0], [10.0]]))
    assert found.hypervolume == pytest.approx(0.5 + 0.5 * (1 - 1 / 1.1))
    assert found.box == Box(0.1, (1.0,), found.box.costs, (True,))
    assert found.box.costs == pytest.approx((10**1.1,))


def test_the_box_is_that_of_all_selected_networks() -> None:
    """One network of 10 between selected ones of 1 and 100: half of 1 / 1.1 of the width lies before it."""
    selected = np.array([[1.0], [10.0], [100.0]])
    accuracy, error = np.array([0.55]), np.zeros(1)
    found = trained_front(accuracy, error, selected[1:2], cost_names=["flops"], chance=0.1, selected_costs=selected)
    assert found.hypervolume == pytest.approx(0.5 * (1 - 0.5 / 1.1))


def test_a_cost_that_is_zero_somewhere_has_a_linear_axis() -> None:
    box = box_around(np.array([[0.0, 1.0], [10.0, 1.0]]), 0.0)
    assert box.logarithmic == (False, True)
    assert box.costs == pytest.approx((11.0, math.e))
    assert hypervolume_in(box, np.array([0.5]), np.array([[5.5, 1.0]])) == pytest.approx(0.25)


def test_networks_at_chance_level_or_beyond_the_box_add_nothing() -> None:
    box = box_around(np.array([[1.0], [10.0]]), 0.1)
    assert hypervolume_in(box, np.array([0.1, 0.05, 0.9]), np.array([[1.0], [1.0], [20.0]])) == 0.0


def test_mean_and_error_over_seeds_or_of_the_test_set() -> None:
    """Two seeds 0.02 apart: sqrt(2 * 0.01 ** 2 / 1 / 2) = 0.01; one seed: sqrt(0.9 * 0.1 / 100) = 0.03."""
    mean, error = mean_and_error(np.array([[0.90, 0.92], [0.9, np.nan]]), images=100)
    assert mean == pytest.approx([0.91, 0.9])
    assert error == pytest.approx([0.01, 0.03])


def test_accuracy_at_cost_levels() -> None:
    assert accuracy_at_cost(ACCURACY, FLOPS[:, 0], [0.5, 1, 50, 1e4]) == [None, 0.5, 0.8, 0.9]


def test_two_fronts_by_hand() -> None:
    """A covers half of the box, B a tenth: a cost range of zero leaves the accuracy alone."""
    a = TrainedNetworks(np.array([[0.5, 0.5], [0.4, 0.4]]), np.array([[2.0], [2.0]]))
    b = TrainedNetworks(np.array([[0.1, 0.1]]), np.array([[2.0]]))
    found = compare_fronts(a, b, chance=0.0)
    assert found.hypervolumes == pytest.approx((0.5, 0.1))
    assert (found.difference.value, found.difference.low, found.difference.high) == pytest.approx((0.4, 0.4, 0.4))
    assert found.coverages == (1.0, 0.0)


def test_the_interval_of_the_difference_is_that_of_the_resampled_seeds() -> None:
    """A has one network with seeds 0.4 and 0.6: resampled means are 0.4, 0.5 and 0.6 with chances 1/4, 1/2, 1/4."""
    a = TrainedNetworks(np.array([[0.4, 0.6]]), np.array([[2.0]]))
    b = TrainedNetworks(np.array([[0.1, 0.1]]), np.array([[2.0]]))
    difference = compare_fronts(a, b, chance=0.0).difference
    assert difference.value == pytest.approx(0.4)
    assert (difference.low, difference.high) == pytest.approx((0.3, 0.5))


def test_with_one_seed_there_is_no_interval() -> None:
    one = TrainedNetworks(np.array([[0.4]]), np.array([[2.0]]))
    two = TrainedNetworks(np.array([[0.4, 0.5]]), np.array([[2.0]]))
    for a, b in ((one, two), (two, one)):
        assert compare_fronts(a, b, chance=0.0).difference.low is None


def test_a_network_without_a_run_in_a_resample_is_left_out_of_it() -> None:
    a = TrainedNetworks(np.array([[0.4, 0.4], [np.nan, 0.8]]), np.array([[2.0], [2.0]]))
    difference = compare_fronts(a, TrainedNetworks(np.array([[0.0, 0.0]]), np.array([[2.0]])), chance=0.0).difference
    assert difference.value == pytest.approx(0.8)
    assert (difference.low, difference.high) == pytest.approx((0.4, 0.8))


def drawn(seed: int, n: int, c: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = numpy_generator(seed, "trained")
    return rng.integers(0, 11, n) / 10, rng.random(n) / 20, 2.0 ** rng.integers(0, 8, (n, c))


@given(st.integers(0, 2**32 - 1), st.integers(1, 15), st.integers(1, 3))
def test_what_holds_for_any_networks(seed: int, n: int, c: int) -> None:
    accuracy, error, costs = drawn(seed, n, c)
    found = trained_front(accuracy, error, costs, cost_names=["a", "b", "c"][:c], chance=0.1)
    assert {i for i in range(n) if not found.dominated_by[i]} == set(found.front)
    assert all(pick.index in found.front for pick in found.picks)
    assert accuracy[found.picks[0].index] == accuracy.max()
    assert costs[found.picks[2].index, 0] <= costs[found.picks[0].index, 0]
    assert list(costs[list(found.front), 0]) == sorted(costs[list(found.front), 0])
    assert 0 <= found.hypervolume <= 1
    equal = {(i, j) for i, j in combinations(range(n), 2) if accuracy[i] == accuracy[j]}
    assert equal <= set(found.indistinct) <= set(combinations(range(n), 2))


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 3), st.sampled_from([0.25, 1024.0]))
def test_hypervolume_has_no_units_and_grows_with_every_network(seed: int, n: int, c: int, unit: float) -> None:
    accuracy, _, costs = drawn(seed, n, c)
    box = box_around(costs, 0.1)
    whole = hypervolume_in(box, accuracy, costs)
    assert hypervolume_in(box, accuracy[1:], costs[1:]) <= whole + 1e-12
    assert hypervolume_in(box_around(unit * costs, 0.1), accuracy[::-1], unit * costs[::-1]) == pytest.approx(whole)
