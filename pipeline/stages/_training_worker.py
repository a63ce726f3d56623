"""The worker of the training stage: a Tune trial takes one run from its checkpoint as far as the driver lets it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray import tune

from pipeline.config import Recipe
from pipeline.device import resolve
from pipeline.errors import UserError
from pipeline.results import Epoch
from pipeline.training import data, loop
from spaces import Architecture, Network, Task
from spaces import load as load_space


@dataclass(frozen=True)
class Training:
    """What all runs of an experiment share; sent to every worker once.

    Attributes:
        task: What the networks have to do.
        images: The data.
        recipe: How.
        epochs: Of a run that is not stopped.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: Absolute; a folder that all workers see. One folder per run in it.
    """

    task: Task
    images: data.Images
    recipe: Recipe
    epochs: int
    device: str
    checkpoints: Path

    def run(self, architecture: Architecture, seed: int, name: str) -> Iterator[loop.EpochResult]:
        """The epochs of a run: those of its checkpoint, then new ones."""
        return self._train(self._network(architecture), seed, name)

    def test(self, architecture: Architecture, seed: int, name: str) -> tuple[float, float]:
        """Mean cross-entropy and accuracy of a finished run on the test data."""
        network = self._network(architecture)
        for _ in self._train(network, seed, name):
            pass  # its checkpoint holds all epochs; if it was lost, the run is trained again
        return loop.evaluate(network, self.images.test(), self.images)

    def _network(self, architecture: Architecture) -> Network:
        return load_space(architecture.space).network(architecture, self.task)

    def _train(self, network: Network, seed: int, name: str) -> Iterator[loop.EpochResult]:
        return loop.train(
            network,
            self.images,
            self.recipe,
            epochs=self.epochs,
            seed=seed,
            device=torch.device(resolve(self.device)),
            checkpoint=self.checkpoints / name,
        )


class TrainingWorker(tune.Trainable):  # type: ignore[misc]
    """A step reports ``rows``: one epoch that the record lacks; or ``test``: loss and accuracy; or ``error``.

    Configuration: ``name`` of the run, ``architecture`` as JSON, ``seed``, ``recorded`` epochs, whether to ``test``.
    An ``error`` is one that the user can put right, and not the fault of the run. The driver says when to stop.
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
        self.epochs: Iterator[loop.EpochResult] | None = None  # lets go of the memory of the last one
        return True

    def step(self) -> dict[str, Any]:
        """Trains one epoch, or tests."""
        try:
            return self._test() if self.job["test"] else self._epoch()
        except UserError as error:
            return {"error": str(error)}

    def _epoch(self) -> dict[str, Any]:
        name, architecture, seed = self.run
        if self.epochs is None:
            self.epochs = self.training.run(architecture, seed, name)
        result = next(result for result in self.epochs if result.epoch > self.job["recorded"])
        return {"rows": [Epoch(name, result.epoch, result.metrics, result.failure).to_row()]}

    def _test(self) -> dict[str, Any]:
        name, architecture, seed = self.run
        loss, accuracy = self.training.test(architecture, seed, name)
        return {"test": [loss, accuracy]}
