"""What has not been computed can be changed; what has been is kept, and a refusal says why."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import with_overrides
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.record.changes import Computed, check_changes
from zenfront.pipeline.record.files.ledger import Ledger, read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Epoch, Generation, Scores, trial_name
from zenfront.pipeline.stages.run_stages import RunStages
from zenfront.pipeline.stages.search.stage import score_given, search
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.stages.train.runs import TrainingRuns
from zenfront.pipeline.stages.train.stage import _by_round
from zenfront.spaces import load

GOLDEN = Path(__file__).parents[2] / "golden" / "run"
Zenfront = Callable[..., tuple[int, str, str]]
BASE = {
    "name": "grown",
    "space": "anynet3",
    "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
    "objectives": [{"score": "params", "direction": "maximise"}, {"score": "flops", "direction": "minimise"}],
    "search": {"population": 8, "repeats": 1, "evaluations": 12},
    "select": {"k": 2},
    "train": {"epochs": 2, "recipe": {"warmup_epochs": 0}},
}


@pytest.fixture
def experiment() -> Experiment:
    return Experiment.model_validate(BASE)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "grown")


def _claim(folder: RunFolder, experiment: Experiment, *changes: str) -> Experiment:
    with folder.driving(with_overrides(experiment, changes)) as claimed:
        return claimed


def _searched(folder: RunFolder, experiment: Experiment) -> Front:
    with folder.driving(experiment):
        search(experiment, folder, ConsoleView(), "serial")
        return select(experiment, folder)


def _train(folder: RunFolder, names: list[str], failure: str | None = None) -> None:
    metrics = {} if failure else {"val_accuracy": 0.5}
    with Ledger(folder.epochs) as ledger:
        ledger.append(Epoch(trial_name(name, 0), 1, metrics, failure).to_row() for name in names)


def test_a_run_that_has_scored_nothing_takes_any_change(folder: RunFolder, experiment: Experiment) -> None:
    _claim(folder, experiment)
    _claim(folder, experiment, "search.seed=3", "space=regnet", "train.epochs=9")
    assert folder.experiment().space == "regnet"


def test_a_first_start_that_fails_does_not_claim_the_name(folder: RunFolder, experiment: Experiment) -> None:
    with pytest.raises(UserError), folder.driving(experiment):
        raise UserError("Ray does not start")
    assert not folder.path.exists()
    folder.path.mkdir()
    (folder.path / "mine.txt").write_text("not from here")
    with pytest.raises(UserError), folder.driving(experiment):
        raise UserError("Ray does not start")
    assert (folder.path / "mine.txt").exists()


def test_select_and_train_change_until_training_begins(folder: RunFolder, experiment: Experiment) -> None:
    first = _searched(folder, experiment)
    changed = with_overrides(experiment, ["select.k=4", "select.rule=crowding", "train.epochs=7"])
    with folder.driving(changed):
        assert not folder.front.exists()
        front = select(changed, folder)
    assert (len(first.selected), len(front.selected), front.rule) == (2, 4, "crowding")
    assert front.members == first.members
    with pytest.raises(UserError, match=r"search\.seed: 0 -> 1 \(architectures are scored with it\)"):
        _claim(folder, changed, "search.seed=1")
    with pytest.raises(UserError, match=r'search\.init_device: "cpu" -> "device" \(architectures are scored with it\)'):
        _claim(folder, changed, "search.init_device=device")


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("train.epochs=4", r"epochs: 2 -> 4 \(the learning rate of the networks in training falls along a cosine"),
        (
            "train.recipe.learning_rate=0.2",
            r"train\.recipe\.learning_rate: 0\.1 -> 0\.2 \(networks are trained with it\)",
        ),
        (
            "select.rule=crowding",
            r"rule: null -> \"crowding\" \(the networks in training were selected with it\)",
        ),
        ("select.k=1", r"select\.k: 2 -> 1 \(it can only be raised"),
        ("search.evaluations=8", r"search\.evaluations: 12 -> 8 \(it can only be raised"),
        ("train.seeds=[1]", r"train\.seeds: \[0\] -> \[1\] \(seeds can only be added at the end"),
    ],
)
def test_what_networks_were_trained_with_stays(
    folder: RunFolder, experiment: Experiment, override: str, reason: str
) -> None:
    _train(folder, list(_searched(folder, experiment).selected))
    with pytest.raises(UserError, match=reason):
        _claim(folder, experiment, override)
    assert folder.experiment() == experiment


def test_a_training_that_failed_entirely_takes_changes_and_is_set_aside(
    folder: RunFolder, experiment: Experiment
) -> None:
    _train(folder, list(_searched(folder, experiment).selected), "training diverged: train_loss is nan")
    _claim(folder, experiment, "train.recipe.learning_rate=0.01")
    assert not folder.epochs.exists()
    assert "diverged" in (folder.path / "superseded/training-1/epochs.jsonl").read_text()
    assert folder.experiment().train.recipe.learning_rate == 0.01


def test_more_evaluations_go_on_from_what_is_scored(folder: RunFolder, experiment: Experiment) -> None:
    first = _searched(folder, experiment)
    before = folder.scores.read_bytes()
    more = with_overrides(experiment, ["search.evaluations=30"])
    second = _searched(folder, more)
    assert folder.scores.read_bytes().startswith(before)
    told = [row.evaluations for row in read_values(folder.generations, Generation.from_row)]
    assert told == [8, 12, 20, 28, 30]
    ids = [row.architecture.id for row in read_values(folder.scores, Scores.from_row)]
    assert len(ids) == len(set(ids)) == 30
    assert (first.evaluations, second.evaluations) == (12, 30)
    _searched(folder, more)  # is a replay
    assert [row.evaluations for row in read_values(folder.generations, Generation.from_row)] == told


def test_the_trained_stay_selected_when_the_front_grows(folder: RunFolder, experiment: Experiment) -> None:
    trained = list(_searched(folder, experiment).selected)
    _train(folder, trained)
    more = with_overrides(experiment, ["search.evaluations=60", "select.k=5"])
    front = _searched(folder, more)
    assert set(trained) < set(front.selected)
    assert len(front.selected) == 5
    assert {member.id for member in front.others} == set(trained) - {member.id for member in front.members}
    assert folder.grown().selected == (tuple(trained),)
    content = folder.front.read_bytes()
    folder.front.unlink()  # made again from the record, with the same networks
    with folder.driving(more):
        assert set(select(more, folder).selected) == set(front.selected)
    assert Front.from_row(json.loads(content)) == front


def test_one_more_proxy_is_all_that_is_scored(folder: RunFolder, experiment: Experiment) -> None:
    generator = np.random.default_rng(0)
    given = [load("anynet3").sample(generator) for _ in range(3)]
    with folder.driving(experiment, score_by_score=True):
        first = score_given(experiment, folder, ConsoleView(), given, "serial")
    added = (*experiment.objectives, Objective(score="depth", direction="maximise"))
    wider = experiment.model_copy(update={"objectives": added})
    with pytest.raises(UserError, match="objectives: "), folder.driving(wider):
        pass
    with folder.driving(wider, score_by_score=True):
        second = score_given(wider, folder, ConsoleView(), given, "serial")
        rows = folder.scores.read_bytes()
        score_given(wider, folder, ConsoleView(), given, "serial")
    assert folder.scores.read_bytes() == rows
    taken = [set(row.seconds) - {"build"} for row in read_values(folder.scores, Scores.from_row)]
    assert taken == [{"params", "flops"}] * 3 + [{"params", "depth"}] * 3
    assert [dict(row.values) | {"depth": 0} for row in first] == [dict(row.values) | {"depth": 0} for row in second]
    assert all(row.values["depth"] > 0 for row in second)


def test_networks_that_are_selected_later_are_a_round_of_their_own(folder: RunFolder, experiment: Experiment) -> None:
    """The first three were halved to one; the two that came later are compared with them, and all are as they were."""
    halving = ["select.k=3", "train.epochs=3", "train.scheduler.name=successive_halving"]
    first = with_overrides(experiment, halving)
    _train(folder, list(_searched(folder, first).selected))
    front = _searched(folder, with_overrides(first, ["search.evaluations=40", "select.k=5"]))
    chosen, sizes = _by_round([member.architecture for member in front.chosen], front, folder)
    assert sizes == [3, 2]
    with Ledger(folder.epochs) as ledger:
        runs = TrainingRuns(chosen, first.train, 0, ledger, rounds=sizes)
        progress = [runs.progress(trial_name(architecture.id, 0)) for architecture in chosen]
    assert [each.epoch for each in progress] == [1, 1, 1, 0, 0]


def test_a_run_in_rounds_does_not_grow_once_a_round_is_trained(folder: RunFolder, experiment: Experiment) -> None:
    rounds = with_overrides(experiment, ["select.k=4", "select.rounds=2"])
    _claim(folder, rounds)
    assert not list(check_changes(folder.path, rounds, rounds, Computed(True, True)))
    for override in ("select.k=6", "search.evaluations=64"):
        larger = with_overrides(rounds, [override])
        assert check_changes(folder.path, rounds, larger, Computed(True, False))
        with pytest.raises(UserError, match="the rounds have chosen from what was scored"):
            check_changes(folder.path, rounds, larger, Computed(True, True))


@pytest.fixture
def finished(tmp_path: Path) -> RunStages:
    """The golden run, which is finished, in a folder of its own and without MLflow."""
    folder = RunFolder(tmp_path / "runs" / "golden")
    shutil.copytree(GOLDEN, folder.path)
    said: list[str] = []
    stages = RunStages(folder.experiment(), folder, ConsoleView, said.append, said.append, tracking=False)
    stages.report()
    return stages


@pytest.mark.parametrize("lost", ["front.json", "report/index.html"])
def test_a_lost_result_is_made_again(finished: RunStages, lost: str) -> None:
    path = finished.folder.path / lost
    before = path.read_bytes() if lost.endswith("json") else b""
    path.unlink()
    done = [finished.finished]
    with finished.driving():
        finished.run()
    done.append(finished.finished)
    assert done == [False, True]
    assert not before or path.read_bytes() == before


@pytest.mark.parametrize("kept", [None, 20])
def test_lost_scores_of_a_finished_run_are_said(finished: RunStages, kept: int | None) -> None:
    lines = finished.folder.scores.read_bytes().splitlines(keepends=True)
    finished.folder.scores.unlink()
    if kept:
        finished.folder.scores.write_bytes(b"".join(lines[:kept]))
    message = r"scores\.jsonl holds (0|20) architectures, but generations\.jsonl counts 24"
    for read in (finished.report, finished.select):
        with pytest.raises(UserError, match=message):
            read()
    with pytest.raises(UserError, match=message):
        _ = finished.finished
    finished.folder.scores.write_bytes(b"".join(lines).replace(b'"id":"', b'"id":"0', 1))
    with pytest.raises(UserError, match=r"scores\.jsonl, line 1: the record is damaged"):
        _ = finished.finished
