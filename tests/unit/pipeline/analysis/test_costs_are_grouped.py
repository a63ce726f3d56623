import numpy as np
import pytest

from zenfront.pipeline.analysis.strata import cost_levels, cost_strata, cost_tolerance, count_similar_pairs


def test_costs_that_many_share_are_the_strata() -> None:
    cost = np.repeat([5.0, 1.0, 9.0], 10)
    assert cost_strata(cost).tolist() == [1] * 10 + [0] * 10 + [2] * 10
    assert cost_levels(cost).tolist() == [1, 5, 9]
    assert cost_tolerance(cost) == 0


@pytest.mark.parametrize(("n", "sizes"), [(100, [5] * 20), (400, [20] * 20), (15, [3] * 5), (5, [5])])
def test_distinct_costs_are_grouped_in_quantiles(n: int, sizes: list[int]) -> None:
    cost = np.arange(n, dtype=float)[::-1]
    assert np.bincount(cost_strata(cost)).tolist() == sizes
    assert cost_levels(cost).tolist() == (np.cumsum(sizes) - 1).tolist()
    assert cost_tolerance(cost) == 0.1


def test_pairs_of_similar_cost_are_counted() -> None:
    cost = np.array([100.0, 111, 110, 200, 200, 50])
    assert count_similar_pairs(cost, 0.0) == 1
    assert count_similar_pairs(cost, 0.1) == 3  # 100 and 110, 110 and 111, 200 and 200
