"""Messages of the training stage when it cannot work, without starting Ray."""

import json
from pathlib import Path

import pytest

from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.changes import WORKER_FAILED
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Epoch, Scores, Trained, TrainedRun, trial_name
from zenfront.pipeline.stages.select import find_front
from zenfront.pipeline.stages.train.runs import TrainingRuns
from zenfront.pipeline.stages.train.stage import require_one_trained, train
from zenfront.spaces import load


@pytest.fixture
def experiment() -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "flops", "direction": "minimise"}],
            "cluster": {"address": "127.0.0.1:1"},
        }
    )


@pytest.fixture
def folder(experiment: Experiment, tmp_path: Path) -> RunFolder:
    """A run folder with one architecture selected."""
    space = load("anynet3")
    chosen = space.decode([0] * len(space.levels))
    scored = Scores(chosen, {"flops": 1.0}, None, 0)
    write_json(tmp_path / "front.json", find_front(experiment, [scored]).to_row())
    return RunFolder(tmp_path)


def test_without_a_selection_it_names_the_stage_before(experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"front\.json is missing: .* Run `zenfront select .*` first"):
        train(experiment, RunFolder(tmp_path), ConsoleView())


def test_missing_data_are_reported_before_anything_starts(experiment: Experiment, folder: RunFolder) -> None:
    data = experiment.train.data.model_copy(update={"source": str(folder.path / "nowhere")})
    absent = experiment.model_copy(update={"train": experiment.train.model_copy(update={"data": data})})
    with pytest.raises(UserError, match="nowhere"):
        train(absent, folder, ConsoleView())
    assert not folder.epochs.exists()


def test_if_no_worker_can_train_the_user_gets_the_reason(experiment: Experiment, folder: RunFolder) -> None:
    (chosen,) = Front.from_row(json.loads(folder.front.read_text())).chosen
    with Ledger(folder.epochs) as ledger:
        ledger.append([Epoch(trial_name(chosen.id, 0), 1, {}, WORKER_FAILED + "KeyError: 'd3'").to_row()])
    with Ledger(folder.epochs) as ledger:
        runs = TrainingRuns([chosen.architecture], experiment.train, 0, ledger)
        with pytest.raises(UserError, match=r"train anything; .*-0: worker failed: KeyError: 'd3'\. .*begins anew"):
            require_one_trained(runs)


def test_a_training_in_which_all_workers_failed_begins_anew(
    experiment: Experiment, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: Experiment) -> None:
        raise UserError("Ray starts")

    monkeypatch.setattr("zenfront.pipeline.cluster.session.cluster", start)
    (chosen,) = Front.from_row(json.loads(folder.front.read_text())).chosen
    with Ledger(folder.epochs) as ledger:
        ledger.append([Epoch(trial_name(chosen.id, 0), 1, {}, WORKER_FAILED + "KeyError: 'd3'").to_row()])
    with pytest.raises(UserError, match="Ray starts"):
        train(experiment, folder, ConsoleView())
    assert folder.epochs.read_text() == ""
    assert "KeyError" in (folder.path / "superseded" / "training-1" / "epochs.jsonl").read_text()


def test_a_finished_stage_says_so_and_does_nothing(
    experiment: Experiment, folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (chosen,) = Front.from_row(json.loads(folder.front.read_text())).selected
    write_json(
        folder.trained,
        Trained([TrainedRun(trial_name(chosen, 0), chosen, 0, 1, "stopped", 0.5, None, None, None)]).to_row(),
    )
    train(experiment, folder, ConsoleView())
    assert "training: finished already" in capsys.readouterr().out
    assert not folder.epochs.exists()
