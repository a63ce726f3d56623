"""Selection along a cost: the extremes are always in, and each step of the cost gives its best."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenfront import spaces
from zenfront.pipeline.checks import check
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.select import find_front, rule_of, stratified, tradeoff, with_extremes

LEVEL = st.integers(0, 6)
ROWS = st.lists(st.tuples(LEVEL, LEVEL, LEVEL), min_size=1, max_size=40)  # few levels: many ties and equal rows
SPACE = spaces.load("anynet3")


def experiment_of(*scores: tuple[str, str], **select: Any) -> Experiment:
    names = scores or (("zen", "maximise"), ("ntk", "minimise"), ("flops", "minimise"))
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": s, "direction": d} for s, d in names],
            "search": {"evaluations": 64, "population": 8},
            "select": select or {"k": 2},
        }
    )


def scored(rows: list[tuple[int, int, int]]) -> list[Scores]:
    """Return scores with the given (zen, ntk, flops), for architectures that differ in their widths."""
    genes = {f"{g}{i}": v for i in (1, 2, 3) for g, v in {"d": 1, "w": 8, "b": 1, "g": 1}.items()}
    widths, result = SPACE.levels["w1"].values, []
    for n, (zen, ntk, flops) in enumerate(rows):
        architecture = SPACE.architecture(genes | {"w1": widths[n % len(widths)], "w2": widths[n // len(widths)]})
        values = {"zen": float(zen), "ntk": float(ntk), "flops": float(flops)}
        result.append(Scores(architecture, values, None, 0))
    return result


@given(ROWS, st.integers(1, 50), st.sampled_from(["stratified", "crowding", "knee", "even", None]))
def test_the_cheapest_and_the_costliest_are_always_selected(
    rows: list[tuple[int, int, int]], k: int, rule: str | None
) -> None:
    along = {"along": "zen"} if rule == "even" else {}
    front = find_front(experiment_of(k=k, rule=rule, **along), scored(rows))
    assert len(set(front.selected)) == len(front.selected) == min(k, len(front.members))
    costs = {member.id: member.values["flops"] for member in front.members}
    selected = [costs[name] for name in front.selected]
    if k > 1:
        assert min(selected) == min(costs.values())
        assert max(selected) == max(costs.values())


@given(
    st.permutations(range(40)), st.lists(st.tuples(LEVEL, LEVEL, LEVEL), min_size=40, max_size=40), st.integers(1, 9)
)
def test_the_default_selection_does_not_depend_on_the_order_of_the_record(
    order: list[int], rows: list[tuple[int, int, int]], k: int
) -> None:
    every = scored(rows)
    experiment = experiment_of(k=k)
    assert find_front(experiment, [every[i] for i in order]) == find_front(experiment, every)


def test_a_step_gives_its_best_by_the_sum_of_ranks() -> None:
    """Eight costs of five rows each; row 3 of each is the best in both scores."""
    cost = np.repeat(np.arange(8.0), 5)
    others = np.full((40, 2), 10.0)
    for step in range(8):
        others[5 * step + 3] = (0.0, 1.0)
        others[5 * step + 1] = (1.0, 20.0)  # second in one score, last in the other
    assert stratified(cost, others, 8) == [5 * step + 3 for step in range(8)]
    assert sorted(stratified(cost, others, 40)) == list(range(40))
    assert stratified(cost, others, 2) == [3, 38]  # fewer than steps: the first and the last are among them


def test_one_network_is_the_best_of_all() -> None:
    assert stratified(np.arange(20.0), np.array([[abs(i - 13.0)] for i in range(20)]), 1) == [13]


def test_equal_costs_are_one_step() -> None:
    assert stratified(np.ones(6), np.array([[3.0], [1.0], [2.0], [6.0], [5.0], [4.0]]), 3) == [1, 2, 0]


def test_a_cost_alone_selects_all_the_same() -> None:
    assert sorted(stratified(np.array([3.0, 1.0, 2.0]), np.empty((3, 0)), 5)) == [0, 1, 2]


def test_extremes_take_the_last_places() -> None:
    costs = np.array([[5.0], [1.0], [3.0], [9.0], [1.0]])
    assert with_extremes([0, 2, 4, 1, 3], costs, 3) == [0, 4, 3]  # of the equally cheap, the first in the order
    assert with_extremes([0, 2, 4, 1, 3], costs, 2) == [4, 3]
    assert with_extremes([0, 2, 4, 1, 3], costs, 1) == [0]
    assert with_extremes([0, 2, 4, 1, 3], np.empty((5, 0)), 2) == [0, 2]


def test_the_key_turns_the_extremes_off() -> None:
    rows = [(9, 9, 5), (0, 0, 0), (5, 5, 4), (9, 8, 6), (1, 0, 1)]
    on, off = (find_front(experiment_of(k=2, rule="knee", extremes=key), scored(rows)) for key in (True, False))
    assert {on.by_id[name].values["flops"] for name in on.selected} == {
        min(member.values["flops"] for member in on.members),
        max(member.values["flops"] for member in on.members),
    }
    assert on.members == off.members


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([("zen", "maximise"), ("flops", "minimise")], ("stratified", "flops")),
        ([("zen", "maximise"), ("latency", "minimise"), ("flops", "minimise")], ("stratified", "latency")),
        ([("zen", "maximise"), ("ntk", "minimise")], ("crowding", "")),
        ([("zen", "maximise"), ("flops", "maximise")], ("crowding", "")),
    ],
)
def test_the_default_rule_follows_from_the_objectives(scores: list[tuple[str, str]], expected: tuple[str, str]) -> None:
    assert rule_of(experiment_of(*scores)) == expected


def test_stratified_without_a_cost_is_refused() -> None:
    with pytest.raises(UserError, match=r"select\.rule: `stratified` needs a cost among the objectives, or `along`"):
        check(experiment_of(("zen", "maximise"), ("ntk", "minimise"), k=2, rule="stratified"))
    check(experiment_of(("zen", "maximise"), ("ntk", "minimise"), k=2, rule="stratified", along="ntk"))


def test_the_trade_off_takes_memory_by_blocks() -> None:
    """All pairs of 3,000 rows of three numbers would take 216 MB, four times over."""
    front = numpy_generator(0, "front").random((3000, 3))
    tracemalloc.start()
    found = tradeoff(front)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    scaled = (front - front.min(0)) / np.ptp(front, axis=0)
    for row in (0, 1499, 2999):  # by the definition, one row at a time
        ratios = [
            np.maximum(other - scaled[row], 0).sum() / gained
            for other in scaled
            if (gained := np.maximum(scaled[row] - other, 0).sum()) > 0
        ]
        assert found[row] == pytest.approx(min(ratios))
