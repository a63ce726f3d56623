"""A run that an earlier version began goes on as it began, whatever the defaults are by now.

`golden/earlier` was made by version 628f472 (search, select, train): of seven selected networks, ASHA by accuracy alone
and on one worker stopped three after the first epoch.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import to_yaml, with_overrides
from zenfront.pipeline.experiment.earlier_versions import as_stored, continued, note_on
from zenfront.pipeline.record.files.json_file import read_document
from zenfront.pipeline.record.files.ledger import Ledger, read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.record.training_result import compared_costs, costs_of
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Epoch, Trained
from zenfront.pipeline.stages.search.driver import SearchDriver
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.stages.train.jobs import Evaluation
from zenfront.pipeline.stages.train.runs import TrainingRuns

Zenfront = Callable[..., tuple[int, str, str]]
EARLIER = Path(__file__).parents[2] / "golden/earlier"


@pytest.fixture
def earlier(tmp_path: Path) -> RunFolder:
    shutil.copytree(EARLIER, tmp_path / "runs/earlier")
    return RunFolder(tmp_path / "runs/earlier")


def todays(folder: RunFolder) -> Experiment:
    """Return the experiment of the run as its YAML file gives it today: the user never wrote the keys in question."""
    stored = json.loads(folder.config.read_text())["experiment"]
    del stored["select"]["rule"], stored["select"]["along"], stored["search"]["repeats"]
    return Experiment.model_validate(stored)


def test_the_stored_experiment_means_accuracy_alone_and_its_own_rule(earlier: RunFolder) -> None:
    experiment = earlier.experiment()
    assert experiment.train.objectives == ("accuracy",)
    assert compared_costs(experiment) == ()
    assert (experiment.select.rule, experiment.select.extremes) == ("crowding", False)
    assert (experiment.search.operators, experiment.search.repeats) == ("uniform", 1)
    assert todays(earlier).select.rule is None
    assert compared_costs(todays(earlier)) == ("flops",)


def test_the_selection_is_made_again_as_it_was(earlier: RunFolder) -> None:
    before = earlier.front.read_text()
    select(earlier.experiment(), earlier)
    assert json.loads(earlier.front.read_text())["selected"] == json.loads(before)["selected"]


def test_the_search_asks_for_the_same_architectures(earlier: RunFolder) -> None:
    """Nothing is left to score: the record holds every architecture that the search asks for."""
    with (
        earlier.driving(todays(earlier)) as experiment,
        Ledger(earlier.scores) as scores,
        Ledger(earlier.generations) as generations,
    ):
        with_its_operators = SearchDriver(experiment, scores, generations, ConsoleView())
        settings = experiment.search.model_copy(update={"operators": "by_kind"})
        changed = SearchDriver(experiment.model_copy(update={"search": settings}), scores, generations, ConsoleView())
    assert with_its_operators.loop.done
    assert with_its_operators.statistics.evaluations == experiment.search.evaluations
    assert not changed.loop.done


@pytest.mark.parametrize("cut", [0, 1, 5, 9, 100])
def test_a_half_trained_run_is_finished_with_the_same_result(earlier: RunFolder, cut: int) -> None:
    expected = read_document(earlier.trained, Trained.from_row)
    front = read_document(earlier.front, Front.from_row)
    assert expected
    assert front
    recorded = read_values(earlier.epochs, Epoch.from_row)
    lines = earlier.epochs.read_bytes().splitlines(keepends=True)
    earlier.epochs.write_bytes(b"".join(lines[:cut]))
    epochs = {(epoch.trial, epoch.epoch): epoch for epoch in recorded}
    tests = {run.trial: run for run in expected.trials}
    with earlier.driving(todays(earlier)) as experiment, Ledger(earlier.epochs) as ledger:
        names = compared_costs(experiment)
        costs = costs_of(front.chosen, names) if names else {}
        selected = [member.architecture for member in front.chosen]
        runs = TrainingRuns(selected, experiment.train, experiment.search.seed, ledger, costs, 100)
        while job := runs.take():  # one worker
            name = job.trial.name
            if job.test:
                runs.tested(name, Evaluation(tests[name].test_accuracy, tests[name].test_loss))
            while not job.test and not runs.is_paused_or_done(name):
                runs.receive(epochs[name, runs.recorded(name) + 1])
            runs.release(name)
        assert runs.outcomes() == expected
    assert {run.status for run in expected.trials} == {"finished", "stopped"}


def test_driving_a_run_leaves_its_keys_away_so_that_it_goes_on_again(earlier: RunFolder) -> None:
    asked = todays(earlier)
    for _ in range(2):
        with earlier.driving(asked) as experiment:
            assert experiment.train.objectives == ("accuracy",)
            assert experiment.select.rule == "crowding"
    stored = json.loads(earlier.config.read_text())["experiment"]
    assert "objectives" not in stored["train"]
    assert "operators" not in stored["search"]
    assert "tf32" not in stored["search"]
    assert stored["search"]["repeats"] == 1
    assert "extremes" not in stored["select"]


def test_scores_on_gpus_stay_in_tf32(earlier: RunFolder) -> None:
    asked = with_overrides(todays(earlier), ["resources.search.gpus=0.5"])
    begun = continued(asked, json.loads(earlier.config.read_text())["experiment"])
    assert (asked.search.tf32, begun.search.tf32) == (False, True)
    assert "GPUs compute scores in TF32 (search.tf32: true)" in str(note_on(asked, begun))
    stored = as_stored(asked, None)
    assert continued(asked, stored) == asked
    del stored["search"]["tf32"]
    on_a_cpu = todays(earlier)
    assert note_on(on_a_cpu, continued(on_a_cpu, stored)) is None  # there is no TF32 on a CPU


def test_a_key_that_is_asked_for_is_another_experiment(earlier: RunFolder) -> None:
    asked = todays(earlier)
    train = asked.train.model_copy(update={"objectives": ("accuracy", "flops")})
    with (
        pytest.raises(UserError, match=r"train\.objectives: "),
        earlier.driving(asked.model_copy(update={"train": train})),
    ):
        pass
    rule = asked.select.model_copy(update={"rule": "knee"})
    with pytest.raises(UserError, match=r"select\.rule: "), earlier.driving(asked.model_copy(update={"select": rule})):
        pass


def test_a_new_run_is_compared_by_cost_and_stays_so(earlier: RunFolder, tmp_path: Path) -> None:
    folder, asked = RunFolder(tmp_path / "runs/new"), todays(earlier)
    for _ in range(2):
        with folder.driving(asked) as experiment:
            assert experiment == asked
    assert folder.experiment() == asked
    assert note_on(asked, asked) is None
    stored = folder.stored_experiment()
    assert stored
    assert continued(asked, stored) == asked


def test_the_user_is_told_once_and_sees_the_trained_front(earlier: RunFolder, zenfront: Zenfront) -> None:
    Path("earlier.yaml").write_text(to_yaml(todays(earlier)), encoding="utf-8")
    code, out, err = zenfront("train", "earlier.yaml")
    assert (code, err) == (0, "")
    assert out.count("an earlier version began this run, and it goes on as it began: ") == 1
    assert "the search has `operators: uniform` and `repeats: 1`, and trained networks are compared by" in out
    assert "by accuracy alone, and members are selected by rule crowding, and images are" in out
    assert "training: finished already" in out
    assert "on the trained front" in out
    front = RunRecord.read(earlier).trained_front
    assert front
    assert front.objectives == ("accuracy", "flops")
