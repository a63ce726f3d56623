"""A finished run of small networks on digits, trained in this process."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

import zenfront as zf
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_documents import read_front
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.training_result import compared_costs, costs_of, find_trained_front
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.stages.train.jobs import Evaluation, Job
from zenfront.pipeline.stages.train.runs import TrainingRuns
from zenfront.pipeline.training import data, loop

SETTINGS = [
    "name=small",
    "objectives=[{score: params, direction: maximise}, {score: flops, direction: minimise}]",
    "constraints=[{score: depth, at_most: 24}, {score: params, at_most: 1e5}]",
    "search.evaluations=48",
    "search.population=24",
    "select.k=4",
    "train.data.limit=120",
    "train.recipe={batch_size: 32, warmup_epochs: 1, ema: 0.9}",
    "train.epochs=3",
    "train.seeds=[0, 1]",
]


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Return the folder of a run with an EMA, two seeds, networks that finish and networks that are stopped."""
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(runs)
        run = zf.search("smoke", overrides=SETTINGS, runs=runs, backend="serial", tracking=False, progress=False)
    folder = RunFolder(run.path)
    _train(run.experiment, folder)
    return folder


def _train(experiment: Experiment, folder: RunFolder) -> None:
    settings, front = experiment.train, read_front(folder, experiment)
    assert front
    images = data.load(settings.data, experiment.task, experiment.search.seed)
    costs = costs_of(front.chosen, compared_costs(experiment))
    selected = [member.architecture for member in front.chosen]
    with Ledger(folder.epochs) as ledger:
        runs = TrainingRuns(selected, settings, experiment.search.seed, ledger, costs, len(images.validation))
        while job := runs.take():
            _work(job, runs, experiment, folder, images)
            runs.release(job.trial.name)
        trained = runs.outcomes()
    write_json(folder.trained, replace(trained, front=find_trained_front(experiment, front, trained.trials)).to_row())


def _work(job: Job, runs: TrainingRuns, experiment: Experiment, folder: RunFolder, images: data.Images) -> None:
    trial = job.trial
    network = zf.spaces.load(experiment.space).network(trial.architecture, experiment.task)
    epochs: Iterator[Epoch] = loop.train(
        network,
        images,
        experiment.train.recipe,
        epochs=experiment.train.epochs,
        seed=trial.seed,
        device=torch.device("cpu"),
        checkpoint=folder.checkpoints / trial.name,
    )
    if job.test:
        assert len(list(epochs)) == experiment.train.epochs
        quality = loop.evaluate(network, images.test(), images)
        runs.tested(trial.name, Evaluation(quality.accuracy, quality.loss))
        return
    for epoch in epochs:
        runs.receive(replace(epoch, trial=trial.name))
        if runs.is_paused_or_done(trial.name):
            return
