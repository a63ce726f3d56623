"""Where rungs are, how many go on, and where the quantile lies; expected values by hand and from NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenfront.pipeline.schedulers._rungs import WORST, milestones, quantile_position, survivors, worth


@pytest.mark.parametrize(
    ("grace", "factor", "epochs", "expected"),
    [
        (1, 3, 27, (1, 3, 9)),  # the last epoch is no rung
        (1, 3, 28, (1, 3, 9, 27)),
        (5, 2, 40, (5, 10, 20)),
        (4, 4, 4, ()),
        (1, 2.5, 20, (1, 3, 7, 16)),  # 1, 2.5, 6.25, 15.625
        (1, 1.2, 4, (1, 2, 3)),  # 1, 1.2, 1.44, 1.728, 2.07, ... each once
        (10, 1.1, 13, (10, 11)),  # 10, 11.000000000000002, 12.1 -> 13 is the end
    ],
)
def test_milestones(grace: int, factor: float, epochs: int, expected: tuple[int, ...]) -> None:
    assert milestones(grace, factor, epochs) == expected


@pytest.mark.parametrize(
    ("count", "factor", "expected"), [(9, 3, 3), (8, 3, 3), (7, 3, 3), (6, 3, 2), (1, 3, 1), (0, 3, 0), (11, 1.1, 10)]
)
def test_survivors(count: int, factor: float, expected: int) -> None:
    assert survivors(count, factor) == expected


def test_a_value_that_is_not_finite_ranks_last() -> None:
    assert [worth(v) for v in (None, math.nan, math.inf, -math.inf)] == [WORST] * 4
    assert worth(-3.5) == -3.5


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.floats(1.1, 10))
def test_the_position_is_that_of_numpys_quantile(values: list[float], factor: float) -> None:
    ordered = sorted(values)
    below, share = quantile_position(len(values), factor)
    found = ordered[below] if share == 0 else ordered[below] * (1 - share) + ordered[below + 1] * share
    assert 0 <= share < 1
    assert found == pytest.approx(np.quantile(values, 1 - 1 / factor), abs=1e-7)


@pytest.mark.parametrize(
    ("count", "factor", "expected"),
    [
        (1, 3, (0, 0)),
        (10, 3, (6, 0)),  # (1 - 1/3) * 9 is a little more than 6 in floating point
        (2, 2, (0, 0.5)),
        (4, 3, (2, 0)),
        (3, 4, (1, 0.5)),
    ],
)
def test_positions_by_hand(count: int, factor: float, expected: tuple[int, float]) -> None:
    assert quantile_position(count, factor) == expected
