import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from zenfront.pipeline.pareto import (
    bounding_box,
    cost_axis,
    coverage,
    dominance_ranks,
    epsilon_net,
    front_indices,
    normalised_hypervolume,
    positive_columns,
)
from zenfront.pipeline.seeds import numpy_generator


def test_hypervolume_of_the_ideal_point_is_the_reference_box() -> None:
    assert normalised_hypervolume(np.array([[2.0, -5.0, 7.0]]), [2, -5, 7], [4, -1, 8]) == pytest.approx(1.1**3)


def test_hypervolume_of_the_two_corners_of_the_box() -> None:
    # In box units (0, 1) and (1, 0) below (1.1, 1.1): two strips of 1.1 x 0.1 that share 0.1 x 0.1.
    corners = np.array([[10.0, 40.0], [30.0, 20.0]])
    assert normalised_hypervolume(corners, [10, 20], [30, 40]) == pytest.approx(2 * 1.1 * 0.1 - 0.01)


def test_points_better_than_the_box_add_more_than_it_holds() -> None:
    assert normalised_hypervolume(np.array([[-1.0, -1.0]]), [0, 0], [1, 1]) == pytest.approx(2.1**2)


def test_a_side_of_zero_counts_as_one() -> None:
    assert normalised_hypervolume(np.array([[5.0, 3.0]]), [5, 3], [5, 4]) == pytest.approx(1.1**2)
    assert normalised_hypervolume(np.array([[4.5, 3.0]]), [5, 3], [5, 4]) == pytest.approx(1.6 * 1.1)


def test_points_beyond_the_reference_and_not_finite_add_nothing() -> None:
    rows = np.array([[1.2, 0.0], [np.nan, 0.0], [0.0, np.inf]])
    assert normalised_hypervolume(rows, [0, 0], [1, 1]) == 0.0
    assert normalised_hypervolume(np.empty((0, 2)), [0, 0], [1, 1]) == 0.0


def test_box_of_a_front() -> None:
    assert bounding_box(np.array([[1.0, 9.0], [4.0, 2.0]])) == ([1.0, 2.0], [4.0, 9.0])


def test_coverage_of_a_worked_example() -> None:
    a = np.array([[1.0, 3.0], [3.0, 1.0]])
    b = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 4.0], [0.0, 9.0]])
    assert coverage(a, b) == 0.5  # (1, 3) is equal, (3, 4) is dominated
    assert coverage(b, a) == 0.5  # (1, 3) alone


@given(
    st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 3), min_size=1, max_size=12),
    st.tuples(*[st.sampled_from([0.5, 2.0, 1024.0])] * 3),
)
def test_hypervolume_does_not_depend_on_units_or_order(rows: list[tuple[float, ...]], unit: tuple[float, ...]) -> None:
    losses = np.array(rows)
    box = bounding_box(losses)
    expected = normalised_hypervolume(losses, *box)
    scaled = losses * unit
    assert normalised_hypervolume(scaled[::-1], *bounding_box(scaled)) == pytest.approx(expected)


@given(st.integers(1, 4), st.integers(1, 60), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_front_is_the_first_of_pymoos_sort_with_all_equals(m: int, n: int, levels: int, seed: int) -> None:
    rng = numpy_generator(seed, "fronts")
    losses, violation = rng.integers(0, levels, (n, m)) / 7, rng.integers(0, 3, n) / 2
    feasible = np.flatnonzero(violation == 0)
    expected = NonDominatedSorting().do(losses[feasible])[0] if len(feasible) else feasible
    assert front_indices(losses, violation).tolist() == sorted(feasible[expected].tolist())


def test_ranks_of_a_relation_that_is_not_transitive() -> None:
    # 0 dominates 1, 1 dominates 2, 2 dominates 3, and 0 dominates 3: 2 is not dominated by the front, 3 is.
    dominates = np.zeros((4, 4), dtype=bool)
    dominates[[0, 1, 2, 0], [1, 2, 3, 3]] = True
    assert dominance_ranks(dominates, np.arange(4)).tolist() == [1, 2, 1, 2]


def test_the_net_goes_to_the_farthest_row() -> None:
    # On a line: it starts at the lowest, then the highest, then the middle of the widest gap, 0.5; 0.2 is 0.2 from
    # its nearest, 0.9 and 0.55 are nearer.
    rows = np.array([[0.9], [0.2], [0.0], [0.5], [1.0], [0.55]])
    assert epsilon_net(rows).tolist() == [4, 3, 0, 2, 1, 5]


def test_equal_rows_share_a_place_in_the_net_and_order_does_not_matter() -> None:
    rows = numpy_generator(0, "net").integers(0, 4, (30, 3)).astype(float)
    places = epsilon_net(rows)
    order = numpy_generator(1, "net").permutation(30)
    assert epsilon_net(rows[order]).tolist() == places[order].tolist()
    distinct = np.unique(rows, axis=0)
    assert sorted(set(places.tolist())) == list(range(len(distinct)))


def test_costs_are_on_a_log_axis_where_they_are_positive() -> None:
    costs = np.array([[1.0, 0.0, -2.0], [np.e, 5.0, 3.0]])
    assert positive_columns(costs).tolist() == [True, False, False]
    assert cost_axis(costs, positive_columns(costs)) == pytest.approx(np.array([[0, 0, -2], [1, 5, 3]]))
    assert cost_axis(np.empty((3, 0)), positive_columns(np.empty((3, 0)))).shape == (3, 0)


def test_the_net_has_no_units() -> None:
    # In units of the ranges, 1 and 100, the second row is 1.08 from the first and the third 1.02.
    assert epsilon_net(np.array([[0.0, 100.0], [1.0, 60.0], [0.2, 0.0]])).tolist() == [0, 1, 2]
