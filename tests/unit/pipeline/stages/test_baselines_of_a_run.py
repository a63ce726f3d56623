"""`train.baselines`: known networks are trained to the end beside the found ones, and change nothing about those."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zenfront import spaces
from zenfront.pipeline.checks import check
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.train_config import Train
from zenfront.pipeline.progress import View
from zenfront.pipeline.record.files.json_file import read_document
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.provenance import read_origin
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.baselines import Baselines, TrainedBaseline
from zenfront.pipeline.results.gain import gain_sentence
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.results.trained_networks import CostAxis, Reference, TrainedFront, TrainedNetwork
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator, seed_for
from zenfront.pipeline.stages.report.stage import report
from zenfront.pipeline.stages.search.stage import search
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.stages.train import stage as train_stage
from zenfront.pipeline.stages.train.driver import TrainingDriver
from zenfront.pipeline.stages.train.jobs import Evaluation
from zenfront.pipeline.stages.train.runs import TrainingRuns
from zenfront.pipeline.tracking._baselines import baseline_entries
from zenfront.pipeline.tracking._entries import parent
from zenfront.spaces import PUBLISHED, Task

SMALL = "d1=1,w1=8,b1=1,g1=8,d2=1,w2=8,b2=2,g2=4,d3=1,w3=16,b3=1,g3=8"


class Quiet:
    """A view that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def search(self, progress: object) -> None:
        """Ignore the progress."""

    def trial(self, progress: object) -> None:
        """Ignore the progress."""

    def waiting(self, text: str) -> None:
        """Ignore what is waited for."""

    def notify(self, text: str) -> None:
        """Keep a line."""
        self.said.append(text)


def experiment(*baselines: object, **train: Any) -> Experiment:
    """Return an experiment on digits whose scores are costs alone, so that it takes no time."""
    return Experiment.model_validate(
        {
            "name": "known",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "depth", "direction": "maximise"}, {"score": "flops", "direction": "minimise"}],
            "constraints": [{"score": "params", "at_most": 2e5}],
            "search": {"population": 8, "evaluations": 40, "algorithm": "random"},
            "select": {"k": 6},
            "train": {
                "epochs": 9,
                "recipe": {"warmup_epochs": 1},
                "scheduler": {"name": "successive_halving", "grace_period": 1, "reduction_factor": 3},
                "baselines": list(baselines),
            }
            | train,
        }
    )


def accuracy(trial: str) -> float:
    """Return the accuracy of a run after the last epoch."""
    return 0.5 + seed_for(0, trial) % 1000 / 4000


def train_all(runs: TrainingRuns, epochs: int, stop_after: int = 10**9) -> None:
    """Train what is left, one run after the other, up to a number of epochs in all."""
    while (job := runs.take()) and stop_after:
        name = job.trial.name
        if job.test:
            runs.tested(name, Evaluation(accuracy(name), 1.0, images=100.0))
        else:
            epoch, stop_after = job.recorded + 1, stop_after - 1
            runs.receive(Epoch(name, epoch, {"val_accuracy": accuracy(name) * (0.5 + epoch / epochs / 2)}))
        runs.release(name)


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Formulas in place of Ray."""

    def run(made: Experiment, folder: RunFolder, images: object, driver: TrainingDriver) -> None:
        train_all(driver.runs, made.train.epochs)

    monkeypatch.setattr(train_stage, "_run", run)
    monkeypatch.setattr("zenfront.pipeline.cluster.session.cluster", lambda experiment: nullcontext())


def finish(made: Experiment, path: Path, view: View) -> RunRecord:
    """Run all stages that are not done yet."""
    folder = RunFolder(path)
    with folder.driving(made):
        search(made, folder, view, "serial")
        select(made, folder)
        train_stage.train(made, folder, view)
        report(folder)
    return RunRecord.read(folder)


def test_published_resnets_have_the_complexity_of_the_paper() -> None:
    """0.856 M parameters, 0.129 G multiply-adds of ResNet-56 (On network design spaces, ICCV 2019, sec. 5.1)."""
    task = Task(3, 32, 32, 10)
    scoring = Scoring(spaces.load("resnet"), task, ["params", "flops", "depth"], noise_batch(task, 2, 0), 0)
    values = scoring.score(PUBLISHED["resnet56"]).values
    assert values["params"] == pytest.approx(0.856e6, rel=1e-3)
    assert values["flops"] == pytest.approx(0.129e9, rel=0.03)
    assert scoring.score(PUBLISHED["resnet20"]).values["params"] == pytest.approx(0.27e6, rel=0.03)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_can_be_built(name: str) -> None:
    architecture, task = PUBLISHED[name], Task(3, 32, 32, 10)
    space = spaces.load(architecture.space)
    assert space.network(architecture, task)
    assert [gene for gene, _ in architecture.genes] == list(space.distributions)


def test_all_wrong_names_are_in_one_message() -> None:
    wrong = experiment("resnet_65", "ResNet-20", "anynet3: d1=1", "regnetx_200mf", "anynt3: d1=1", "")
    with pytest.raises(UserError) as error:
        check(wrong)
    lines = str(error.value).splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("train.baselines[0]: there is no published network 'resnet_65'. Did you mean 'resnet56'")
    assert lines[1].startswith("train.baselines[2]: space 'anynet3': gene 'w1' is missing")
    assert lines[2].startswith("train.baselines[3]: 'regnetx_200mf' cannot be built for the task: it halves")
    assert lines[3].startswith("train.baselines[4]: there is no search space 'anynt3'. Did you mean 'anynet3'?")
    assert lines[4].startswith("train.baselines[5]: there is no published network ''. Known: resnet20")


def test_baselines_change_nothing_about_the_found_networks(tmp_path: Path) -> None:
    generator, space = numpy_generator(0, "test"), spaces.load("anynet3")
    selected = [space.sample(generator) for _ in range(9)]
    others = [space.sample(generator) for _ in range(3)]
    settings = experiment(seeds=[0, 1]).train
    outcomes = {}
    for name, baselines in {"without": [], "with": others}.items():
        with Ledger(tmp_path / name) as ledger:
            runs = TrainingRuns(selected, settings, 0, ledger, baselines=baselines)
            train_all(runs, settings.epochs)
            assert runs.complete
            outcomes[name] = runs.outcomes()
            known = runs.baseline_outcomes()
    assert outcomes["with"] == outcomes["without"]
    assert {run.status for run in outcomes["with"].trials} == {"finished", "stopped"}
    assert [(run.architecture, run.seed) for run in known] == [(each.id, seed) for each in others for seed in (0, 1)]
    assert {(run.status, run.epochs) for run in known} == {("finished", 9)}
    assert all(run.test_accuracy == accuracy(run.trial) for run in known)


@pytest.mark.parametrize("epochs", [5, 31, 44])
def test_a_killed_training_goes_on_with_the_same_outcomes(tmp_path: Path, epochs: int) -> None:
    generator, space = numpy_generator(0, "test"), spaces.load("anynet3")
    selected, others = ([space.sample(generator) for _ in range(count)] for count in (6, 3))
    settings: Train = experiment().train
    found = []
    for name, kill in {"whole": (), "killed": (epochs,)}.items():
        for stop in (*kill, 10**9):
            with Ledger(tmp_path / name) as ledger:
                runs = TrainingRuns(selected, settings, 0, ledger, baselines=others)
                train_all(runs, settings.epochs, stop)
        found.append((runs.outcomes(), runs.baseline_outcomes()))
    assert found[0] == found[1]


def test_a_run_with_baselines(tmp_path: Path, no_workers: None) -> None:
    view = Quiet()
    made = experiment("resnet20", SMALL, {"random": 4})
    record = finish(made, tmp_path / "known", view)
    plain = finish(experiment(), tmp_path / "plain", view)
    assert record.trained_front == plain.trained_front
    names = [each.name for each in record.baselines.networks]
    small = spaces.load("anynet3").architecture(spaces.load("anynet3").parse(SMALL))
    assert names == ["resnet20", f"anynet3 {small.id[:8]}", "random 1", "random 2", "random 3", "random 4"]
    task = made.task
    for baseline in record.baselines.networks:
        space = spaces.load(baseline.member.architecture.space)
        names_of_costs = ["flops", "params"]
        costs = Scoring(space, task, names_of_costs, noise_batch(task, 2, 0), 0).score(baseline.member.architecture)
        assert baseline.member.values["flops"] == costs.values["flops"]
        assert not baseline.drawn or costs.values["params"] <= 2e5
    ids = {each.member.id for each in record.baselines.networks}
    assert record.front
    assert not ids & set(record.front.selected)
    assert len(record.trained_baselines) == 6
    assert {each.network.status for each in record.trained_baselines} == {"finished"}

    page = (tmp_path / "known" / "report" / "index.html").read_text()
    assert "Known networks" in page
    assert "Gain of the found networks over known ones at no more than their flops" in page
    entries = list(baseline_entries(record, read_origin(record.folder)))
    assert [entry.tags["zenfront.baseline"] for entry in entries] == names
    assert all(len(entry.points) == 9 for entry in entries)
    note = parent(record, read_origin(record.folder), "FINISHED").note
    assert "Gain of the found networks" in note


def test_what_was_drawn_is_kept(tmp_path: Path, no_workers: None) -> None:
    made, view = experiment({"random": 3}), Quiet()
    record = finish(made, tmp_path / "known", view)
    again = finish(made, tmp_path / "again", view)
    assert record.baselines == again.baselines
    assert Baselines.from_row(json.loads(json.dumps(record.baselines.to_row()))) == record.baselines


def test_a_baseline_that_was_selected_is_trained_once(tmp_path: Path, no_workers: None) -> None:
    plain = finish(experiment(), tmp_path / "plain", Quiet())
    assert plain.front
    chosen, view = plain.front.chosen[0], Quiet()
    record = finish(experiment(chosen.notation), tmp_path / "known", view)
    assert any("is among the selected networks" in line for line in view.said)
    assert record.trained == plain.trained
    assert not record.baselines.trials
    assert [each.network.architecture for each in record.trained_baselines] == [chosen.id]


def test_baselines_can_be_added_to_a_finished_run(tmp_path: Path, no_workers: None) -> None:
    view = Quiet()
    first = finish(experiment("resnet20"), tmp_path / "known", view)
    more = finish(experiment({"random": 2}, "resnet20"), tmp_path / "known", view)
    assert [each.name for each in more.baselines.networks] == ["resnet20", "random 1", "random 2"]
    assert more.baselines.trials[: len(first.baselines.trials)] == first.baselines.trials
    assert len(more.trained_baselines) == 3
    assert more.trained == first.trained
    with pytest.raises(UserError, match=r"train\.baselines: .*\(known networks can only be added"):
        finish(experiment({"random": 2}), tmp_path / "known", view)


def network(name: str, flops: float, value: float, **changes: Any) -> TrainedNetwork:
    made = TrainedNetwork(name, name, {"flops": flops}, value, 0.03, 1, "finished", 9)
    return replace(made, **changes)


def test_the_gain_is_taken_at_equal_cost() -> None:
    found = (network("a", 10, 0.80), network("b", 20, 0.90, error=0.04), network("c", 40, 0.85))
    reference = Reference(0.1, {"flops": CostAxis(10, 40, True)})
    front = TrainedFront(("accuracy", "flops"), found, 0.5, reference, ())
    known = [
        TrainedBaseline("resnet20", False, network("x", 30, 0.88)),  # b at 20: +2.0, error hypot(3, 4) = 5
        TrainedBaseline("tiny", False, network("y", 5, 0.50)),
        TrainedBaseline("broken", False, network("z", 30, 0.10, status="diverged")),
        TrainedBaseline("random 1", True, network("r", 15, 0.70)),  # a: +10.0
        TrainedBaseline("random 2", True, network("s", 50, 0.60)),  # b against the better random 1: +20.0
    ]
    assert gain_sentence(front, known) == (
        "Gain of the found networks over known ones at no more than their flops: +2.0 ± 5.0 points over resnet20; "
        "no found network is as cheap as tiny; +15.0 points over 2 random ones, in the mean over their costs; "
        "broken did not finish the training."
    )
    assert gain_sentence(front, []) == ""


def test_the_file_is_read_as_written(tmp_path: Path) -> None:
    assert read_document(tmp_path / "baselines.json", Baselines.from_row) is None
