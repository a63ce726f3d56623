"""A run with rounds on Ray whose driver is killed in a training, in the search of a round and between rounds."""

from collections.abc import Callable
from pathlib import Path

import pytest
import ray

from zenfront.pipeline.analysis.learned import round_sizes
from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.places import Cluster
from zenfront.pipeline.record.files.json_file import read_document
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Trained
from zenfront.pipeline.stages.rounds.stage import train_in_rounds
from zenfront.pipeline.stages.search.stage import search
from zenfront.pipeline.stages.select import select

pytestmark = [pytest.mark.slow, pytest.mark.soak]

KilledDriver = Callable[..., None]


def experiment_of(workers: int) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "rounds",
            "space": "nats_sss",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "params", "direction": "maximise"}, {"score": "flops", "direction": "minimise"}],
            "search": {"population": 4, "evaluations": 8},
            "select": {"k": 5, "rounds": 2, "evaluations": 6},
            "train": {
                "epochs": 2,
                "data": {"limit": 100},
                "recipe": {"warmup_epochs": 0},
                "scheduler": {"name": "successive_halving", "grace_period": 1, "reduction_factor": 2},
            },
            "resources": {"device": "cpu", "search": {"workers": 1}, "train": {"workers": workers}},
        }
    )


def selected(path: Path, experiment: Experiment) -> RunFolder:
    folder = RunFolder(path)
    with folder.driving(experiment):
        search(experiment, folder, ConsoleView(), "serial")
        select(experiment, folder)
    return folder


def results(folder: RunFolder) -> tuple[Front | None, Trained | None]:
    return read_document(folder.front, Front.from_row), read_document(folder.trained, Trained.from_row)


def test_rounds_end_the_same_on_ray_after_their_driver_was_killed(
    tmp_path: Path, ray_session: None, killed_driver: KilledDriver
) -> None:
    whole = selected(tmp_path / "whole", experiment_of(1))
    train_in_rounds(experiment_of(1), whole, ConsoleView())
    experiment = experiment_of(2)
    here = experiment.model_copy(update={"cluster": Cluster(address=ray.get_runtime_context().gcs_address)})
    folder = selected(tmp_path / "killed", experiment)
    for record, lines in ((folder.epochs, 2), (folder.round(2).scores, 1), (folder.epochs, 5)):
        killed_driver("rounds.stage:train_in_rounds", here, folder, record, lines)
    train_in_rounds(experiment, folder, ConsoleView())
    assert results(folder) == results(whole)
    front, trained = results(whole)
    assert front
    assert trained
    assert [len(each.networks) for each in front.rounds] == round_sizes(5, 2)
    assert trained.front
