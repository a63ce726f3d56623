"""The worker of the training stage: a Tune trial takes one run from its checkpoint as far as the driver lets it."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ray import tune

from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.cluster.workers import show
from zenfront.pipeline.device import resolve
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Recipe
from zenfront.pipeline.record.backup import DRIVER
from zenfront.pipeline.record.storage import Storage
from zenfront.pipeline.results import Epoch
from zenfront.pipeline.training import data, loop
from zenfront.spaces import Architecture, Network, Task
from zenfront.spaces import load as load_space

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """What all runs of an experiment share; sent to every worker once.

    Attributes:
        task: What the networks have to do.
        images: The data.
        recipe: How.
        epochs: Of a run that is not stopped.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: Absolute. One folder per run in it. Without a storage, a folder that all workers see.
        seconds: What an epoch, or the test, may take.
        storage: Where the run has its copy: what one worker wrote, another finds there.
    """

    task: Task
    images: data.Images
    recipe: Recipe
    epochs: int
    device: str
    checkpoints: Path
    seconds: float
    storage: Storage | None = None

    def run(self, architecture: Architecture, seed: int, name: str) -> Iterator[Epoch]:
        """The epochs of a run: those of its checkpoint, then new ones."""
        return self._train(self._network(architecture), seed, name)

    def test(self, architecture: Architecture, seed: int, name: str) -> tuple[float, float]:
        """Mean cross-entropy and accuracy of a finished run on the test data."""
        network = self._network(architecture)
        for _ in self._train(network, seed, name):
            pass  # its checkpoint holds all epochs; if it was lost, the run is trained again
        with time_limit(self.seconds):
            return loop.evaluate(network, self.images.test(), self.images)

    def _network(self, architecture: Architecture) -> Network:
        return load_space(architecture.space).network(architecture, self.task)

    def _train(self, network: Network, seed: int, name: str) -> Iterator[Epoch]:
        epochs = loop.train(
            network,
            self.images,
            self.recipe,
            epochs=self.epochs,
            seed=seed,
            device=torch.device(resolve(self.device)),
            checkpoint=self.checkpoints / name,
        )
        while True:
            with time_limit(self.seconds):
                result = next(epochs, None)
            if result is None:
                return
            yield result

    def fetch(self, name: str) -> str | None:
        """Gets what another machine wrote of a run; what went wrong, if something did: then more is trained again."""
        if not self.storage:
            return None
        try:
            if self.storage.read(DRIVER) is None:
                raise OSError(f"{self.storage.uri} holds no run: is it mounted on this machine?")
            for path in self.storage.files(f"checkpoints/{name}"):
                local = self.checkpoints.parent / path
                if not local.exists():
                    self.storage.download(path, local)
        except OSError as error:
            _log.warning("checkpoints of %s: %s", name, error)
            return "the storage cannot be read: training goes on from the checkpoints that are on the workers"
        return None

    def keep(self, name: str) -> str | None:
        """Copies the checkpoints of a run to the storage; what went wrong, if something did."""
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
    """A step reports ``rows``: one epoch that the record lacks; or ``test``: loss and accuracy; or what went wrong.

    Configuration: ``name`` of the run, ``architecture`` as JSON, ``seed``, ``recorded`` epochs, whether to ``test``.
    An ``error`` is one that the user can put right, and not the fault of the run; ``notes`` are for the user to know.
    After a ``failure`` this worker is not to be trusted any more: it ends itself in the next step. The driver says when
    to stop.
    """

    def setup(self, config: dict[str, Any], training: Training, threads: int) -> None:
        """Takes the constants of the stage and the first run."""
        torch.set_num_threads(threads)
        self.training = training
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next run on the same process."""
        self.job = new_config
        self.run = (new_config["name"], Architecture.from_json(new_config["architecture"]), new_config["seed"])
        self.epochs: Iterator[Epoch] | None = None  # lets go of the memory of the last one
        self.failure: Exception | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Trains one epoch, or tests."""
        show(f"TrainingWorker: {'test of ' if self.job['test'] else ''}{self.job['name']}")
        if self.failure:
            raise self.failure
        try:
            return self._test() if self.job["test"] else self._epoch()
        except UserError as error:
            return {"error": str(error)}
        except Exception as error:  # told as text: of what Tune makes of an exception, only a pickle tells its kind
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
        loss, accuracy = self.training.test(architecture, seed, name)
        return {"test": [loss, accuracy], "notes": [note] if note else []}
