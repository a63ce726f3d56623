"""The trained front of a run: from the outcomes of training and the costs of the search, also for earlier versions."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.record.training_result import (
    DataFacts,
    compared_costs,
    count_images,
    find_trained_front,
    search_costs,
)
from zenfront.pipeline.results.front import Front, Member
from zenfront.pipeline.results.stage_rows import Box, Trained, TrainedRun, trial_name
from zenfront.pipeline.results.trained_networks import TrainedFront
from zenfront.pipeline.stages.select import select
from zenfront.spaces import Architecture

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, Front], None]
GOLDEN = Path(__file__).parents[2] / "golden/run"
FLOPS = [1e6, 1e7, 1e5, 2e6]


def experiment_of(scores: list[tuple[str, str]] | None = None, **train: object) -> Experiment:
    objectives = [{"score": s, "direction": d} for s, d in scores or [("zen", "maximise"), ("flops", "minimise")]]
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": objectives,
            "train": {"seeds": [0, 1], **train},
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
A, B, C, D = FRONT.selected


def finished(architecture: str, *accuracies: float) -> list[TrainedRun]:
    return [
        TrainedRun(trial_name(architecture, seed), architecture, seed, 9, "finished", 0.5, accuracy, 1.0, None)
        for seed, accuracy in enumerate(accuracies)
    ]


def stopped(architecture: str, accuracy: float | None) -> TrainedRun:
    return TrainedRun(trial_name(architecture, 0), architecture, 0, 3, "stopped", accuracy, None, None, None)


TRIALS = [*finished(A, 0.90, 0.92), *finished(B, 0.95, 0.97), *finished(C, 0.70, 0.72), stopped(D, 0.8)]
FACTS = DataFacts(0.1, validation_images=100, test_images=400)


def found(trials: list[TrainedRun] = TRIALS, experiment: Experiment | None = None) -> TrainedFront:
    front = find_trained_front(experiment or experiment_of(), FRONT, trials, FACTS)
    assert front
    return front


def test_networks_are_sorted_by_cost_and_have_mean_and_deviation() -> None:
    front = found()
    assert front.objectives == ("accuracy", "flops")
    assert [network.architecture for network in front.networks] == [C, A, D, B]
    assert [network.accuracy for network in front.networks] == pytest.approx([0.71, 0.91, 0.8, 0.96])
    deviation = 0.02 / math.sqrt(2)  # of two values that are 0.02 apart
    binomial = math.sqrt(0.8 * 0.2 / 100)  # the stopped one, on the validation images
    assert [network.error for network in front.networks] == pytest.approx([deviation, deviation, binomial, deviation])
    assert [network.seeds for network in front.networks] == [2, 2, 1, 2]
    assert [network.status for network in front.networks] == ["finished", "finished", "stopped", "finished"]


def test_a_stopped_network_is_never_on_the_front_and_the_box_is_around_all_selected() -> None:
    trials = [*finished(A, 0.5), stopped(C, 0.9), *finished(B, 0.4), stopped(D, None)]
    front = found(trials)
    assert [network.architecture for network in front.members] == [A]
    assert front.by_id[B].dominated_by == (A,)
    assert front.by_id[C].dominated_by == front.by_id[C].indistinguishable == ()
    assert front.by_id[D].accuracy is None
    assert front.by_id[D].error is None
    axis = front.reference.axes["flops"]
    assert (axis.lowest, axis.logarithmic) == (1e5, True)
    assert axis.reference == pytest.approx(10**7.2)  # 1e5 to 1e7 and a tenth of that range
    # A leaves (0.5 - 0.1) / 0.9 of the accuracy, and of the 2.2 decades of cost those above its 1e6.
    assert front.hypervolume == pytest.approx(0.4 / 0.9 * 1.2 / 2.2)


def test_with_one_seed_the_error_is_that_of_the_test_set() -> None:
    front = found(finished(A, 0.9))
    assert front.networks[0].error == pytest.approx(math.sqrt(0.9 * 0.1 / 400))


def test_pairs_that_the_noise_hides_are_named_on_both_sides() -> None:
    front = found([*finished(A, 0.90), *finished(B, 0.91), *finished(C, 0.5)])
    assert front.by_id[A].indistinguishable == (B,)
    assert front.by_id[B].indistinguishable == (A,)
    assert front.by_id[C].indistinguishable == ()
    cheapest, best = front.pick("cheapest_within_noise"), front.pick("most_accurate")
    assert cheapest is front.by_id[A]
    assert best is front.by_id[B]
    assert {pick.name for pick in front.picks_of(A)} >= {"cheapest_within_noise"}


def test_nothing_trained_to_the_end_is_no_front() -> None:
    assert find_trained_front(experiment_of(), FRONT, [stopped(A, 0.5)], FACTS) is None


def test_without_a_cost_the_most_accurate_is_the_front() -> None:
    experiment = experiment_of([("zen", "maximise")])
    front = found(experiment=experiment)
    assert front.objectives == ("accuracy",)
    assert [network.architecture for network in front.members] == [B]
    assert [pick.name for pick in front.picks] == ["most_accurate"]
    assert front.hypervolume == pytest.approx((0.96 - 0.1) / 0.9)
    assert front.reference.axes == {}


def test_a_test_that_failed_is_no_finished_network() -> None:
    failed = TrainedRun(trial_name(D, 0), D, 0, 9, "failed", 0.9, None, None, "worker failed: test: out of memory")
    assert found([*finished(A, 0.9), failed]).by_id[D].status == "failed"


def test_balanced_accuracy_is_compared_where_it_is_asked_for() -> None:
    run = TrainedRun(trial_name(A, 0), A, 0, 9, "finished", 0.9, 0.9, 1.0, None, 0.6, 0.5)
    front = found([run], experiment_of(metric="balanced_accuracy"))
    assert front.metric.name == "balanced_accuracy"
    assert front.networks[0].accuracy == 0.5


def test_costs_are_what_a_network_costs_to_run_and_less_of_it_is_better() -> None:
    scores = [("zen", "maximise"), ("latency", "minimise"), ("params", "minimise"), ("ntk", "minimise")]
    assert search_costs(experiment_of(scores)) == ("latency", "params")
    assert search_costs(experiment_of([("flops", "maximise"), ("zen", "maximise")])) == ()
    assert compared_costs(experiment_of(scores)) == ("latency", "params")
    assert compared_costs(experiment_of(scores, objectives=("accuracy", "params"))) == ("params",)
    alone = experiment_of(objectives=("accuracy",))
    assert compared_costs(alone) == ()
    assert found(experiment=alone).objectives == ("accuracy", "flops")  # shown all the same


def test_a_cost_that_the_search_did_not_record_is_an_error() -> None:
    experiment = experiment_of([("zen", "maximise"), ("params", "minimise")])
    with pytest.raises(UserError, match=r"front\.json has no value of 'params'"):
        find_trained_front(experiment, FRONT, TRIALS, FACTS)


@pytest.mark.parametrize("images", [1, 7, 359, 10_000])
def test_the_number_of_images_is_found_from_the_accuracies(images: int) -> None:
    some = np.unique([0, 1, images // 3, images // 2, images - 1, images])
    assert count_images([right / images for right in some]) == (images if images > 1 else None)


def test_the_number_of_images_of_accuracies_that_hide_it_is_unknown() -> None:
    assert count_images([]) is None
    assert count_images([0.0, 1.0]) is None


def test_the_file_gives_back_the_front(tmp_path: Path) -> None:
    trained = Trained(TRIALS, found())
    write_json(tmp_path / "trained.json", trained.to_row())
    assert Trained.from_row(json.loads((tmp_path / "trained.json").read_text())) == trained


def test_a_pick_that_is_no_network_is_refused() -> None:
    row = json.loads(json.dumps(found().to_row()))
    row["picks"][0]["architecture"] = "0123"
    with pytest.raises(ValueError, match="picks: '0123' is not among the networks"):
        TrainedFront.from_row(row)


def test_a_run_of_an_earlier_version_has_a_trained_front() -> None:
    """The golden run was made by version 4f8416a, which compared by accuracy alone; 37 of 359 images are right."""
    record = RunRecord.read(RunFolder(GOLDEN))
    front = record.trained_front
    assert front
    assert front.objectives == ("accuracy", "flops")
    assert [network.costs["flops"] for network in front.networks] == [1954208.0, 3572048.0, 5098304.0]
    assert [network.on_front for network in front.networks] == [True, False, False]  # equally accurate: the cheapest
    assert front.networks[0].accuracy == pytest.approx(37 / 359)


def test_a_record_reads_the_front_that_is_stored(fake_run: FakeRun, fake_training: FakeTraining) -> None:
    experiment, folder = fake_run(count=48)
    fake_training(experiment, folder, select(experiment, folder))
    record = RunRecord.read(folder)
    assert record.front
    stored = find_trained_front(experiment, record.front, record.trained, DataFacts(0.25))
    write_json(folder.trained, Trained(record.trained, stored).to_row())
    assert RunRecord.read(folder).trained_front == stored != record.trained_front
