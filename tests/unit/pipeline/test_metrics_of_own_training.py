"""A metric of which less is better: under schedulers, in rounds, on the trained front, in its files and in words."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.round_outcomes import Curve
from zenfront.pipeline.record.training_result import find_trained_front
from zenfront.pipeline.results.baselines import TrainedBaseline
from zenfront.pipeline.results.front import Front, Member
from zenfront.pipeline.results.gain import gain_sentence
from zenfront.pipeline.results.metric import ACCURACY, Metric
from zenfront.pipeline.results.stage_rows import Box, Epoch, Trained, TrainedRun, trial_name
from zenfront.pipeline.results.trained_networks import TrainedFront
from zenfront.pipeline.stages.rounds.choice import _in_its_unit
from zenfront.pipeline.stages.rounds.learning import observations
from zenfront.pipeline.stages.train.runs import TrainingRuns
from zenfront.pipeline.tracking._trained import front_metrics
from zenfront.pipeline.user_code import UserCode
from zenfront.spaces import Architecture

RMSE = Metric("rmse", "minimise")
FLOPS = [1e4, 1e5, 1e6]


def experiment_of(metric: Metric = RMSE, **train: object) -> Experiment:
    code = UserCode("training", "mine", "train", "mine.py", "def train(): ...")
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "outputs": 2},
            "objectives": [{"score": "zen", "direction": "maximise"}, {"score": "flops", "direction": "minimise"}],
            "train": {"function": "mine", "metric": metric, "epochs": 4, "seeds": (0, 1), **train},
            "code": (code,),
        }
    )


def front_of(flops: list[float]) -> Front:
    members = tuple(
        Member(Architecture("anynet3", (("d1", index + 1),)), f"n{index}", {"zen": float(index), "flops": cost}, {})
        for index, cost in enumerate(flops)
    )
    objectives = (Objective("zen", "maximise"), Objective("flops", "minimise"))
    ids = tuple(member.id for member in members)
    return Front("anynet3", objectives, (), 10, 4, 0, {}, 0.0, Box([0.0, 0.0], [1.0, 1.0]), members, ids, "crowding")


FRONT = front_of(FLOPS)
A, B, C = FRONT.selected


def finished(architecture: str, *values: float) -> list[TrainedRun]:
    none = (None, None, None, None)
    return [
        TrainedRun(trial_name(architecture, seed), architecture, seed, 4, "finished", *none, values=row)
        for seed, row in enumerate({"rmse": 99.0, "test_rmse": value} for value in values)
    ]


def found(*runs: TrainedRun) -> TrainedFront:
    front = find_trained_front(experiment_of(), FRONT, runs)
    assert front
    return front


def test_the_lowest_value_of_the_test_data_is_the_best() -> None:
    front = found(*finished(A, 5.0), *finished(B, 7.0), *finished(C, 3.0))
    assert [(each.accuracy, each.error) for each in front.networks] == [(5.0, None), (7.0, None), (3.0, None)]
    assert [each.architecture for each in front.members] == [A, C]
    assert front.by_id[B].dominated_by == (A,)
    assert front.by_id[B].indistinguishable == ()
    assert {pick.name: pick.architecture for pick in front.picks} == {"most_accurate": C, "knee": A}
    assert front.picks_of(C)[0].reason == "lowest mean rmse, 3"
    assert front.pick_words(front.picks[0]) == "best"
    assert front.reference.ideal == 3.0
    assert front.reference.chance == pytest.approx(3 + 1.1 * 4)
    # A leaves (7.4 - 5) / 4.4 over 2.2 decades of cost, C the whole height over those above its 1e6: 0.2 decades.
    assert front.hypervolume == pytest.approx((2.4 / 4.4 * 2.0 + 0.2) / 2.2)
    assert TrainedFront.from_row(json.loads(json.dumps(front.to_row()))) == front


def test_noise_is_that_between_seeds() -> None:
    front = found(*finished(A, 5.0, 5.4), *finished(C, 4.9, 5.3))
    assert [each.error for each in front.networks] == pytest.approx([0.4 / 2**0.5] * 2)
    cheapest = front.pick("cheapest_within_noise")
    assert cheapest is front.by_id[A]
    assert front.by_id[A].indistinguishable == (C,)
    assert "within the noise of the best: 0.1 ± 0.2828 behind it" in front.picks_of(A)[-1].reason


def test_an_accuracy_of_a_function_has_no_binomial_noise() -> None:
    code = experiment_of()
    task = {"channels": 1, "height": 8, "width": 8, "classes": 4}
    values = code.model_dump(mode="json") | {"task": task}
    experiment = Experiment.model_validate_json(
        json.dumps(values | {"train": values["train"] | {"metric": "accuracy"}})
    )
    runs = [replace(run, values={"accuracy": 0.75}) for run in finished(A, 1.0)]
    front = find_trained_front(experiment, FRONT, runs)
    assert front
    assert (front.networks[0].accuracy, front.networks[0].error) == (0.75, None)
    assert front.reference.chance == 0.25
    assert "direction" not in front.to_row()


def test_a_run_without_test_values_has_its_last_ones() -> None:
    (run,) = finished(A, 5.0)
    assert (run.test("rmse"), run.validation("rmse")) == (5.0, 99.0)
    assert replace(run, values={"rmse": 6.0}).test("rmse") == 6.0
    assert replace(run, status="stopped").test("rmse") is None
    row = json.loads(json.dumps(Trained([run]).to_row()))
    assert row["trials"][0]["values"] == {"rmse": 99.0, "test_rmse": 5.0}
    assert Trained.from_row(row).trials == [run]


def test_the_scheduler_keeps_the_lowest(tmp_path: Path) -> None:
    """Without costs, successive halving lets the better half go on; the reason shows the values as they are."""
    scheduler = {"name": "successive_halving", "grace_period": 1, "reduction_factor": 3}
    train = experiment_of(objectives=("rmse",), scheduler=scheduler, seeds=(0,)).train
    architectures = [member.architecture for member in FRONT.members]
    with Ledger(tmp_path / "epochs.jsonl") as ledger:
        runs = TrainingRuns(architectures, train, 0, ledger)
        for architecture, value in zip(architectures, (5.0, 2.0, 7.0), strict=True):
            runs.receive(Epoch(trial_name(architecture.id, 0), 1, {"rmse": value, "seconds": 1.0}))
        for epoch in (2, 3, 4):
            runs.receive(Epoch(trial_name(B, 0), epoch, {"rmse": 2.0 - epoch, "seconds": 1.0}))
        assert runs.complete  # nothing is tested
        outcomes = {run.architecture: run for run in runs.outcomes().trials}
        assert [outcomes[name].status for name in (A, B, C)] == ["stopped", "finished", "stopped"]
        assert outcomes[B].values == {"rmse": -2.0}
        assert "(2 against 7)" in runs.progress(trial_name(C, 0)).reason


def test_the_model_of_rounds_learns_that_less_is_better() -> None:
    experiment = experiment_of(scheduler={"grace_period": 2})
    curves = {0: Curve({2: 5.0, 4: 4.0}), 1: Curve({2: 9.0}), 2: Curve({}, failed=1)}
    seen = observations(experiment, curves)
    rows = sorted(zip(seen.index.tolist(), seen.accuracy.tolist(), strict=True))
    assert rows == [(0, -5.0), (0, -4.0), (1, -9.0), (2, -9.0)]  # what diverged is as bad as the worst
    ends = _in_its_unit(experiment, np.array([-4.0]), np.array([-6.0]), np.array([-3.0]))
    assert ends == [(4.0, 3.0, 6.0)]
    assert _in_its_unit(experiment_of(Metric("r2", "maximise")), *map(np.array, ([0.5], [0.1], [0.9]))) == [
        (0.5, 0.1, 0.9)
    ]


def test_words_and_names_are_those_of_the_metric() -> None:
    front = found(*finished(A, 5.0), *finished(B, 7.0), *finished(C, 3.0))
    metrics = front_metrics(front)
    assert {name: value for name, value in metrics.items() if name.startswith("rmse_at")} == {
        "rmse_at_cost_50": 5.0,
        "rmse_at_cost_75": 5.0,
        "rmse_at_cost_100": 3.0,
        "rmse_at_cost_25": 5.0,
    }
    known = TrainedBaseline("known", False, replace(front.by_id[B], architecture="x"))
    assert "+2 rmse over known" in gain_sentence(front, [known])
    assert RMSE.shown(3.25, 0.5) == "3.25 ± 0.5"
    assert RMSE.axis == "rmse"
    assert ACCURACY.shown(0.912, 0.004) == "91.2 ± 0.4 %"
    assert ACCURACY.axis == "accuracy [%]"
