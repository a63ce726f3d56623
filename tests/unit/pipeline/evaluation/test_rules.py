"""What a selection rule picks, seen from its regret."""

from collections.abc import Callable

import pytest

from zenfront.pipeline.evaluation.regret import RegretSettings, compare_rules
from zenfront.pipeline.evaluation.sample import Sample

RULES = ["stratified:zen", "stratified"]


def test_one_bad_rank_costs_more_than_a_good_one_repays(make_sample: Callable[..., Sample]) -> None:
    """Of 10, A is 1st and 10th, B twice the 4th: log(10/10 * 1/10) = -2.3 and log(7/10 * 7/10) = -0.7 in AZ-NAS.

    A sum of the logarithms of ranks counted from the best prefers A: log(1 * 10) = 2.3 to log(4 * 4) = 2.8.
    """
    places = {"zen": [1, 4, 2, 3, 5, 6, 7, 8, 9, 10], "naswot": [10, 4, 9, 8, 7, 6, 5, 3, 2, 1]}
    scores = {name: [-place for place in each] for name, each in places.items()}
    sample = make_sample([50, 90, *[50] * 8], scores | {"flops": [1.0] * 10})
    found = compare_rules(sample, ["top:zen+naswot"], RegretSettings([1], 1, 1.0, 0))
    assert found[0].by_budget[1].mean == pytest.approx(0)


def test_a_score_counts_in_a_stratified_rule_where_costs_are_distinct(make_sample: Callable[..., Sample]) -> None:
    """With a queue for each distinct cost, no score would be asked: both rules would pick the same architectures."""
    accuracy = [(37 * i) % 60 for i in range(60)]
    sample = make_sample(accuracy, {"zen": accuracy, "flops": [float(i) for i in range(60)]})
    settings = RegretSettings([12], 20, 0.5, 0)
    found = {result.rule: result.by_budget[12] for result in compare_rules(sample, RULES, settings)}
    assert found["stratified:zen"].mean == 0  # ten levels of three architectures; the best of each is picked
    assert found["stratified"].mean > 1


def test_a_rule_that_learns_finds_what_a_wrong_score_hides(make_sample: Callable[..., Sample]) -> None:
    accuracy = [(17 * i) % 24 for i in range(24)]
    sample = make_sample(accuracy, {"zen": [-value for value in accuracy], "flops": [float(i % 2) for i in range(24)]})
    rules = ["learned", "learned:zen", "stratified:zen"]
    results = compare_rules(sample, rules, RegretSettings([10], 2, 1.0, 0))
    lost = {result.rule: result.by_budget[10].mean for result in results}
    assert lost["learned"] == lost["learned:zen"]  # all scores of the sample that are no costs
    assert lost["learned"] < 0.5 * lost["stratified:zen"]
