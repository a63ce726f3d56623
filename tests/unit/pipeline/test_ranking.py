import math

import numpy as np
import pytest

from zenfront.pipeline.ranking import log_rank_sum


def test_the_sum_of_log_ranks_is_that_of_the_paper() -> None:
    """By hand, n = 3: the first score ranks A 3, B 2, C 1, the second A 1, B 3, C 2."""
    losses = np.array([[1.0, 30.0], [2.0, 10.0], [3.0, 20.0]])
    expected = [math.log(1 / 3), math.log(2 / 3), math.log(1 / 3) + math.log(2 / 3)]
    assert log_rank_sum(losses) == pytest.approx(expected)


def test_equal_values_share_their_mean_rank() -> None:
    losses = np.array([[1.0], [5.0], [5.0], [9.0]])
    assert log_rank_sum(losses) == pytest.approx([0, math.log(2.5 / 4), math.log(2.5 / 4), math.log(1 / 4)])


def test_an_undefined_loss_ranks_as_worst() -> None:
    assert log_rank_sum(np.array([[np.inf], [1.0]])) == pytest.approx([math.log(1 / 2), 0])
