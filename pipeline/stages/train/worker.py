"""Worker of the training stage: a Tune trial trains one run from its checkpoint until the driver stops it."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ray import tune

from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.cluster.workers import show
from zenfront.pipeline.device import resolve
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Recipe
from zenfront.pipeline.record.copies.backup import DRIVER
from zenfront.pipeline.record.copies.storage import Storage
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.stages.train.runs import Evaluation
from zenfront.pipeline.training import data, loop
from zenfront.pipeline.training.classes import images_behind
from zenfront.pipeline.user_code import UserCode
from zenfront.spaces import Architecture, Network, Task
from zenfront.spaces import load as load_space

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """Settings and data that all runs of an experiment share; sent to every worker once.

    Attributes:
        task: Task of the networks.
        images: Data of the experiment.
        recipe: Training recipe.
        epochs: Number of epochs of a run that is not stopped.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: Absolute path of the folder with a folder for each run. Without a storage, all workers share it.
        seconds: Time limit in seconds for an epoch or a test.
        storage: Storage in which one worker finds the checkpoints of another.
        code: Code of the experiment.
    """

    task: Task
    images: data.Images
    recipe: Recipe
    epochs: int
    device: str
    checkpoints: Path
    seconds: float
    storage: Storage | None = None
    metric: str = "accuracy"
    code: Sequence[UserCode] = ()

    def run(self, architecture: Architecture, seed: int, name: str) -> Iterator[Epoch]:
        """Yield the epochs of a run: those of its checkpoint, then new ones."""
        return self._train(self._network(architecture), seed, name)

    def test(self, architecture: Architecture, seed: int, name: str) -> Evaluation:
        """Return the quality of a finished run on the test data."""
        network = self._network(architecture)
        for _ in self._train(network, seed, name):
            pass  # its checkpoint holds all epochs; if it was lost, the run is trained again
        with time_limit(self.seconds):
            test = self.images.test()
            quality = loop.evaluate(network, test, self.images)
        balanced = quality.balanced_accuracy if self.metric == "balanced_accuracy" else None
        return Evaluation(quality.accuracy, quality.loss, None, balanced, images_behind(test, self.metric))

    def _network(self, architecture: Architecture) -> Network:
        return load_space(architecture.space, self.code).network(architecture, self.task)

    def _train(self, network: Network, seed: int, name: str) -> Iterator[Epoch]:
        epochs = loop.train(
            network,
            self.images,
            self.recipe,
            epochs=self.epochs,
            seed=seed,
            device=torch.device(resolve(self.device)),
            checkpoint=self.checkpoints / name,
            balanced=self.metric == "balanced_accuracy",
        )
        while True:
            with time_limit(self.seconds):
                result = next(epochs, None)
            if result is None:
                return
            yield result

    def fetch(self, name: str) -> str | None:
        """Fetch the checkpoints that another machine wrote; return a note for the user if the storage failed."""
        if not self.storage:
            return None
        try:
            if self.storage.read(DRIVER) is None:
                raise OSError(f"{self.storage} holds no run: is it mounted on this machine?")
            for path in self.storage.files(f"checkpoints/{name}"):
                local = self.checkpoints.parent / path
                if not local.exists():
                    self.storage.download(path, local)
        except OSError as error:
            _log.warning("checkpoints of %s: %s", name, error)
            return "the storage cannot be read: training goes on from the checkpoints that are on the workers"
        return None

    def keep(self, name: str) -> str | None:
        """Copy the checkpoints of a run to the storage; return a note if the storage failed."""
        if not self.storage:
            return None
        try:
            there = self.storage.files(f"checkpoints/{name}")
            here = {f"checkpoints/{name}/{path.name}": path for path in (self.checkpoints / name).glob("*.pt")}
            for path in sorted(here.keys() - there.keys()):
                self.storage.upload(here[path], path)
            for path in there.keys() - here.keys():
                self.storage.delete(path)
        except OSError as error:
            _log.warning("checkpoints of %s: %s", name, error)
            return "the storage cannot be written: some checkpoints are on the workers alone"
        return None


class TrainingWorker(tune.Trainable):  # type: ignore[misc]
    """Tune trainable that trains one epoch in a step, or tests.

    A step reports ``rows`` (one epoch that the record lacks), ``test`` (the fields of an `Evaluation` as a list, since
    Tune takes nested mappings apart), an ``error`` or a ``failure``, and ``notes`` for the user.

    Configuration: ``name`` of the run, ``architecture`` as JSON, ``seed``, ``recorded`` epochs, whether to ``test``.
    An ``error`` is one that the user can correct and not the fault of the run. After a ``failure``, the state of this
    process cannot be trusted: it ends itself in the next step. The driver decides when to stop.
    """

    def setup(self, config: dict[str, Any], training: Training, threads: int) -> None:
        """Set the constants of the stage and the first run."""
        torch.set_num_threads(threads)
        self.training = training
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Set the next run on the same process."""
        self.job = new_config
        self.run = (new_config["name"], Architecture.from_json(new_config["architecture"]), new_config["seed"])
        self.epochs: Iterator[Epoch] | None = None  # frees the memory of the last one
        self.failure: Exception | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch, or test."""
        show(f"TrainingWorker: {'test of ' if self.job['test'] else ''}{self.job['name']}")
        if self.failure:
            raise self.failure
        try:
            return self._test() if self.job["test"] else self._epoch()
        except UserError as error:
            return {"error": str(error)}
        except Exception as error:  # as text: Tune reports an exception as a pickle alone
            self.failure = error
            return {"failure": f"{type(error).__name__}: {' '.join(str(error).split())}"}

    def _epoch(self) -> dict[str, Any]:
        name, architecture, seed = self.run
        notes = []
        if self.epochs is None:
            notes.append(self.training.fetch(name))
            self.epochs = self.training.run(architecture, seed, name)
        epoch = next(epoch for epoch in self.epochs if epoch.epoch > self.job["recorded"])
        notes.append(self.training.keep(name))
        return {"rows": [replace(epoch, trial=name).to_row()], "notes": list(filter(None, notes))}

    def _test(self) -> dict[str, Any]:
        name, architecture, seed = self.run
        note = self.training.fetch(name)
        test = self.training.test(architecture, seed, name)
        return {"test": list(astuple(test)), "notes": [note] if note else []}
