"""The export of a run as an Optuna study: every architecture is a trial, and the best trials are the front."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.ledger import read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.stages.report.stage import report
from zenfront.pipeline.stages.select import select

FakeRun = Callable[..., tuple[Experiment, RunFolder]]


def opened(path: Path, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))


@pytest.mark.parametrize("objectives", [None, [("zen", "maximise")]])
def test_the_study_holds_every_architecture_and_its_best_trials_are_the_front(
    fake_run: FakeRun, objectives: list[tuple[str, str]] | None
) -> None:
    experiment, folder = fake_run("mine", objectives=objectives)
    front = select(experiment, folder)
    report(folder)
    scored = [Scores.from_row(row) for row in read_ledger(folder.scores)[0]]
    study = opened(folder.report / "study.journal", "mine")
    assert len(study.trials) == len(scored) == 120
    assert {trial.user_attrs["id"] for trial in study.best_trials} == {member.id for member in front.members}
    assert study.directions[0] == StudyDirection.MAXIMIZE
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.FAIL) == sum(s.failure is not None for s in scored) > 0
    assert states.count(TrialState.PRUNED) == sum(s.failure is None and "zen" not in s.values for s in scored) > 0


def test_a_trial_contains_everything_in_the_ledger(fake_run: FakeRun) -> None:
    experiment, folder = fake_run("mine")
    select(experiment, folder)
    report(folder)
    scored = [Scores.from_row(row) for row in read_ledger(folder.scores)[0]]
    for trial, scores in zip(opened(folder.report / "study.journal", "mine").trials, scored, strict=True):
        assert trial.params == scores.architecture.mapping
        assert trial.duration is not None
        assert trial.duration.total_seconds() == pytest.approx(0.03, abs=1e-5)
        if scores.failure:
            assert trial.user_attrs["failure"] == scores.failure
        elif "zen" in scores.values:
            assert trial.values == [scores.values[name] for name in ("zen", "ntk", "flops")]
            assert trial.constraints == {"params <= 1e+06": 0.0}
        else:
            excess = scores.values["params"] / 1e6 - 1
            assert trial.constraints == {"params <= 1e+06": pytest.approx(excess / (1 + excess))}


def test_a_report_written_again_replaces_the_study(fake_run: FakeRun) -> None:
    experiment, folder = fake_run("mine")
    select(experiment, folder)
    report(folder)
    report(folder)
    assert len(opened(folder.report / "study.journal", "mine").trials) == 120
    assert sorted(path.name for path in folder.report.glob("study*")) == ["study.journal"]
