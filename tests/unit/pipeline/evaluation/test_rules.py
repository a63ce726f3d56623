"""What a selection rule picks, seen from its regret."""

from collections.abc import Callable

import pytest

from zenfront.pipeline.evaluation.regret import RegretSettings, compare_rules
from zenfront.pipeline.evaluation.sample import Sample


def test_one_bad_rank_costs_more_than_a_good_one_repays(make_sample: Callable[..., Sample]) -> None:
    """Of 10, A is 1st and 10th, B twice the 4th: log(10/10 * 1/10) = -2.3 and log(7/10 * 7/10) = -0.7 in AZ-NAS.

    A sum of the logarithms of ranks counted from the best prefers A: log(1 * 10) = 2.3 to log(4 * 4) = 2.8.
    """
    places = {"zen": [1, 4, 2, 3, 5, 6, 7, 8, 9, 10], "naswot": [10, 4, 9, 8, 7, 6, 5, 3, 2, 1]}
    scores = {name: [-place for place in each] for name, each in places.items()}
    sample = make_sample([50, 90, *[50] * 8], scores | {"flops": [1.0] * 10})
    found = compare_rules(sample, ["top:zen+naswot"], RegretSettings([1], 1, 1.0, 0))
    assert found[0].by_budget[1].mean == pytest.approx(0)
