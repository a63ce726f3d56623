import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Box, Generation, Scores
from zenfront.pipeline.stages.select import evenly, find_front, isolation, select, shortfall, tradeoff

FakeRun = Callable[..., tuple[Experiment, RunFolder]]


def _experiment(**select: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "zen", "direction": "maximise"}, {"score": "flops", "direction": "minimise"}],
            "constraints": [{"score": "params", "at_most": 1000}],
            "select": select or {"k": 2},
        }
    )


def _scored(rows: list[tuple[float, float, float]]) -> list[Scores]:
    """Return scores with the given (zen, flops, params), for architectures that differ in their widths."""
    space = spaces.load("anynet3")
    genes = {f"{g}{i}": v for i in (1, 2, 3) for g, v in {"d": 1, "w": 8, "b": 1, "g": 1}.items()}
    widths, result = space.levels["w1"].values, []
    for n, (zen, flops, params) in enumerate(rows):
        architecture = space.architecture(genes | {"w1": widths[n % len(widths)], "w2": widths[n // len(widths)]})
        result.append(Scores(architecture, {"zen": zen, "flops": flops, "params": params}, None, 0))
    return result


# Worked by hand: the fourth is dominated by the second, the fifth is better than all but has too many parameters.
HAND = _scored([(10, 100, 1), (8, 40, 1), (2, 20, 1), (7, 60, 1), (99, 1, 1001)])


def test_the_front_is_feasible_non_dominated_and_sorted_by_the_first_objective() -> None:
    front = find_front(_experiment(), HAND)
    assert [m.values["zen"] for m in front.members] == [10, 8, 2]
    assert front.evaluations == 5
    assert front.infeasible == 1
    assert front.box == Box([-10.0, 20.0], [-2.0, 100.0])


def test_hypervolume_in_the_given_box() -> None:
    # Box units: (0, 1), (.25, .25), (1, 0); below (1.1, 1.1): .85 * .85 + .25 * .1 + .1 * .25
    front = find_front(_experiment(), HAND, Box([-10, 20], [-2, 100]))
    assert front.hypervolume == pytest.approx(0.7225 + 0.025 + 0.025)


def test_crowding_selects_the_extremes_first() -> None:
    front = find_front(_experiment(k=2), HAND)
    assert front.selected == (
        HAND[0].architecture.id,
        HAND[2].architecture.id,
    )


def test_crowding_distance_of_equal_rows_is_given_once() -> None:
    front = np.array([[0.0, 4.0], [1.0, 1.0], [1.0, 1.0], [4.0, 0.0]])
    assert isolation(front).tolist() == [np.inf, pytest.approx(2.0 / 2), 0.0, np.inf]  # mean over the objectives


def test_knee_selects_the_bend() -> None:
    front = find_front(_experiment(k=1, rule="knee"), HAND)
    assert front.selected == (HAND[1].architecture.id,)


def test_tradeoff_of_a_worked_front() -> None:
    # Leaving the knee costs .8 per .2 gained; leaving an end for the knee costs .2 per .8 gained.
    assert tradeoff(np.array([[0.0, 1.0], [0.2, 0.2], [1.0, 0.0]])) == pytest.approx([0.25, 4.0, 0.25])


@pytest.mark.parametrize("rule", ["crowding", "knee"])
@pytest.mark.parametrize("size", [1, 2])
def test_small_fronts_are_selected_whole(rule: str, size: int) -> None:
    front = find_front(_experiment(k=5, rule=rule), HAND[1 : 1 + size])
    assert sorted(front.selected) == sorted(s.architecture.id for s in HAND[1 : 1 + size])
    message = shortfall(front, 5)
    assert message is not None
    assert f"{size} members" in message


def test_a_large_enough_front_gives_no_message() -> None:
    assert shortfall(find_front(_experiment(), HAND), 3) is None


def test_even_takes_the_nearest_to_even_steps_along_one_objective() -> None:
    assert evenly(np.array([0.0, 1.0, 2.0, 9.0, 10.0]), 3) == [0, 2, 4]  # 5 is nearer to 2 than to 9
    assert evenly(np.array([0.0, 0.0, 0.0]), 2) == [0, 1]
    assert sorted(evenly(np.array([3.0, 1.0]), 7)) == [0, 1]
    front = find_front(_experiment(k=3, rule="even", along="flops"), HAND)
    assert front.selected == (
        HAND[2].architecture.id,
        HAND[1].architecture.id,
        HAND[0].architecture.id,
    )


def test_the_message_names_the_constraint_that_excludes_everything() -> None:
    rows = [(float(n), float(n), 1001.0 + n) for n in range(240)]
    with pytest.raises(UserError, match=r"params <= 1000 excludes 240 of 240 \(params was 1001 to 1240\)"):
        find_front(_experiment(), _scored(rows))


def test_the_message_counts_failures_by_reason() -> None:
    failed = [Scores(s.architecture, {}, "zen: not finite", 0) for s in HAND]
    with pytest.raises(UserError, match="5 of 5 failed: zen: not finite"):
        find_front(_experiment(), failed)


def test_nothing_scored(fake_run: FakeRun) -> None:
    experiment, folder = fake_run(count=0)
    with pytest.raises(UserError, match="nothing has been scored"):
        select(experiment, folder)
    assert not folder.front.exists()


def test_front_json_of_a_run(fake_run: FakeRun) -> None:
    experiment, folder = fake_run()
    front = select(experiment, folder)
    assert Front.from_row(json.loads(folder.front.read_text())) == front
    assert len(front.selected) == 6
    assert front.evaluations == 120
    assert sum(front.failures.values()) + front.infeasible < 120
    generation = read_values(folder.generations, Generation.from_row)[-1]
    assert front.hypervolume == pytest.approx(generation.hypervolume)
    assert len(front.members) == generation.front


@given(st.permutations(range(40)), st.sampled_from(["crowding", "knee", "even"]), st.data())
def test_the_selection_does_not_depend_on_the_order_of_the_record(
    order: list[int], rule: str, data: st.DataObject
) -> None:
    level = st.integers(0, 4)  # few levels: many ties and equal rows
    values = data.draw(st.lists(st.tuples(level, level), min_size=40, max_size=40))
    scored = _scored([(float(a), float(b), 1.0) for a, b in values])
    experiment = _experiment(k=4, rule=rule, **({"along": "zen"} if rule == "even" else {}))
    assert find_front(experiment, [scored[i] for i in order]) == find_front(experiment, scored)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_no_member_is_dominated_and_all_others_are(values: list[tuple[int, int]]) -> None:
    scored = _scored([(float(a), float(b), 1.0) for a, b in values])
    inside = {m.id for m in find_front(_experiment(), scored).members}
    for s in scored:
        zen, flops = s.values["zen"], s.values["flops"]
        dominated = any(
            o.values["zen"] >= zen
            and o.values["flops"] <= flops
            and (o.values["zen"], o.values["flops"]) != (zen, flops)
            for o in scored
        )
        assert dominated == (s.architecture.id not in inside)
