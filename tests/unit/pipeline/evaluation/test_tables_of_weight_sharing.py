"""Tables that a study of weight sharing reads: accuracies of networks trained alone, and steps of another supernet."""

from pathlib import Path

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.weight_sharing.ground_truth import read_ground_truth
from zenfront.pipeline.evaluation.weight_sharing.instances import EACH, LAST
from zenfront.pipeline.evaluation.weight_sharing.recorded_steps import read_steps
from zenfront.pipeline.evaluation.weight_sharing.report import write_report
from zenfront.pipeline.evaluation.weight_sharing.study import measure_study, require_comparison
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.stages.supernet.plan import StudyPlan


@pytest.fixture
def plan() -> StudyPlan:
    """One instance over eight architectures."""
    experiment = {
        "name": "sharing",
        "space": "supernet64",
        "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
        "objectives": [{"score": "params", "direction": "minimise"}],
        "supernet": {"children": 8, "last": 2, "instances": 1},
    }
    return StudyPlan(Experiment.model_validate(experiment))


def test_ground_truth_of_a_table(plan: StudyPlan, tmp_path: Path) -> None:
    names = [plan.space.notation(each) for each in plan.architectures]
    table = tmp_path / "truth.csv"
    lines = [f"{name},{90 - i},{0.1 * i}" for i, name in enumerate(names)]
    table.write_text("\n".join(["architecture,test_accuracy,test_accuracy_std", *lines[::-1]]))
    truth = read_ground_truth(table, plan.space, plan.architectures)
    assert truth.accuracy.tolist() == [90 - i for i in range(8)]
    assert truth.sd is not None
    assert truth.sd.tolist() == pytest.approx([0.1 * i for i in range(8)])
    table.write_text(
        "\n".join(
            ["architecture,test_accuracy_seed0,test_accuracy_seed1,test_accuracy", *(f"{n},1,3,2" for n in names)]
        )
    )
    with_seeds = read_ground_truth(table, plan.space, plan.architectures)
    assert with_seeds.sd is not None
    assert with_seeds.sd.tolist() == pytest.approx([2**0.5] * 8)
    table.write_text("\n".join(["architecture,test_accuracy", *(f"{n},1" for n in names[:6])]))
    with pytest.raises(UserError, match=rf"lacks 2 of 8 architectures of the supernet: {names[6]}, {names[7]}\."):
        read_ground_truth(table, plan.space, plan.architectures)


def test_a_table_can_have_a_column_for_each_gene_and_steps_of_another_supernet(plan: StudyPlan, tmp_path: Path) -> None:
    table = tmp_path / "truth.csv"
    head = ["id", *plan.space.levels, "test_accuracy_mean", "test_accuracy_std", *(f"step_{i}" for i in (10, 9, 8))]
    rows = [
        ",".join(map(str, [i, *dict(each.genes).values(), 90 - i, 0.5, 30 - i, 20 + i, i % 3]))
        for i, each in enumerate(plan.architectures)
    ]
    table.write_text("\n".join([",".join(head), *rows]))
    truth = read_ground_truth(table, plan.space, plan.architectures)
    assert (truth.source, truth.accuracy.tolist()) == ("test_accuracy_mean", [90 - i for i in range(8)])
    assert truth.sd is not None
    assert truth.sd.tolist() == [0.5] * 8
    arm = read_steps(table, plan.space, plan.architectures, "step_", 2)
    (instance,) = arm.instances
    assert (arm.name, instance.steps.tolist()) == ("step", [8, 9, 10])
    assert instance.accuracy[1:].tolist() == [[20.0 + i for i in range(8)], [30.0 - i for i in range(8)]]
    found = measure_study(plan, [arm], truth)
    measures = {each.weights: each for each in found.measures}
    taus = [measures[w].gt_tau.mean.value for w in (LAST, EACH)]  # type: ignore[union-attr]
    assert taus == [1.0, 0.0]  # the last step ranks as the truth does, the one before the other way round
    assert measures[EACH].s_tau.mean.value == -1.0  # type: ignore[union-attr]
    assert "Accuracy of an architecture around" not in write_report(found, tmp_path / "r").read_text(encoding="utf-8")
    with pytest.raises(UserError, match=r"`last <= steps` must hold, but got \(last=4, steps=3\)"):
        read_steps(table, plan.space, plan.architectures, "step_", 4)
    with pytest.raises(UserError, match="has no column of numbers whose name is 'epoch' and the number of a step"):
        read_steps(table, plan.space, plan.architectures, "epoch", 2)
    table.write_text("\n".join([",".join(head[:-1]), *(row.rpartition(",")[0] for row in rows[:-1])]))
    with pytest.raises(UserError, match="lacks step_10 of 1 of 8"):
        read_steps(table, plan.space, plan.architectures, "step_", 2)


def test_one_instance_needs_a_truth(plan: StudyPlan) -> None:
    with pytest.raises(UserError, match=r"at least 2 are needed without a ground truth, but got supernet.instances=1"):
        require_comparison(plan, None)
