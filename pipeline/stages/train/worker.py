"""Worker of the training stage: a Tune trial trains one run from its checkpoint until the driver stops it."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ray import tune

from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.cluster.workers import show
from zenfront.pipeline.device import resolve
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.record.copies.checkpoints import CheckpointCopies
from zenfront.pipeline.record.copies.storage import Storage
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.stages.train.jobs import Evaluation
from zenfront.pipeline.training import data, loop
from zenfront.pipeline.training.classes import images_behind
from zenfront.pipeline.training.function import FunctionFailed, TrainingFunction
from zenfront.pipeline.training.teacher import Teacher
from zenfront.pipeline.user_code import UserCode
from zenfront.spaces import Architecture, Network, Task
from zenfront.spaces import load as load_space


@dataclass(frozen=True)
class RecipeTraining:
    """Training by the recipe of an experiment.

    Attributes:
        images: Data of the experiment.
        recipe: Training recipe.
        metric: Name of the accuracy that runs are compared by.
        teacher: Trained network that the others learn from as well.
    """

    images: data.Images
    recipe: Recipe
    metric: str
    teacher: Teacher | None = None

    def train(
        self,
        network: Network,
        *,
        epochs: int,
        seed: int,
        device: torch.device,
        checkpoint: Path,
        note: Callable[[str], None],
    ) -> Iterator[Epoch]:
        """Yield the epochs of a run, as `loop.train` does, which has nothing to note."""
        balanced = self.metric == "balanced_accuracy"
        return loop.train(
            network,
            self.images,
            self.recipe,
            epochs=epochs,
            seed=seed,
            device=device,
            checkpoint=checkpoint,
            balanced=balanced,
            teacher=self.teacher,
        )

    def test(self, network: Network) -> Evaluation:
        """Return the quality of a trained network on the test data."""
        test = self.images.test()
        quality = loop.evaluate(network, test, self.images)
        balanced = quality.balanced_accuracy if self.metric == "balanced_accuracy" else None
        return Evaluation(quality.accuracy, quality.loss, None, balanced, images_behind(test, self.metric))


@dataclass(frozen=True)
class Training:
    """Settings and data that all runs of an experiment share; sent to every worker once.

    Attributes:
        task: Task of the networks.
        method: What trains a network.
        epochs: Number of epochs of a run that is not stopped.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: Absolute path of the folder with a folder for each run. Without a storage, all workers share it.
        seconds: Time limit in seconds for an epoch or a test.
        storage: Storage in which one worker finds the checkpoints of another.
        code: Code of the experiment.
    """

    task: Task
    method: RecipeTraining | TrainingFunction
    epochs: int
    device: str
    checkpoints: Path
    seconds: float
    storage: Storage | None = None
    code: Sequence[UserCode] = ()

    def run(
        self, architecture: Architecture, seed: int, name: str, note: Callable[[str], None]
    ) -> Generator[Epoch, None, None]:
        """Yield the epochs of a run: those of its checkpoint, then new ones."""
        return self._train(self._network(architecture), seed, name, note)

    def test(self, architecture: Architecture, seed: int, name: str) -> Evaluation:
        """Return the quality of a finished run on the test data."""
        assert isinstance(self.method, RecipeTraining)  # a training function has measured all there is
        network = self._network(architecture)
        for _ in self._train(network, seed, name, lambda text: None):
            pass  # its checkpoint holds all epochs; if it was lost, the run is trained again
        with time_limit(self.seconds):
            return self.method.test(network)

    def _network(self, architecture: Architecture) -> Network:
        return load_space(architecture.space, self.code).network(architecture, self.task)

    def _train(
        self, network: Network, seed: int, name: str, note: Callable[[str], None]
    ) -> Generator[Epoch, None, None]:
        device, checkpoint = torch.device(resolve(self.device)), self.checkpoints / name
        epochs = self.method.train(
            network, epochs=self.epochs, seed=seed, device=device, checkpoint=checkpoint, note=note
        )
        while True:
            with time_limit(self.seconds):
                result = next(epochs, None)
            if result is None:
                return
            yield result

    @property
    def copies(self) -> CheckpointCopies:
        """The checkpoints, with their copies in the storage."""
        return CheckpointCopies(self.checkpoints, self.storage)


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

    notes: list[str | None]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Set the next run on the same process."""
        self.cleanup()
        self.job = new_config
        self.run = (new_config["name"], Architecture.from_json(new_config["architecture"]), new_config["seed"])
        self.epochs: Generator[Epoch, None, None] | None = None  # frees the memory of the last one
        self.failure: Exception | None = None
        return True

    def cleanup(self) -> None:
        """End the run: a training function is closed, wherever it is; Tune calls this when the worker ends."""
        if epochs := getattr(self, "epochs", None):
            with suppress(TimeoutError), time_limit(self.training.seconds):
                epochs.close()

    def step(self) -> dict[str, Any]:
        """Train one epoch, or test."""
        show(f"TrainingWorker: {'test of ' if self.job['test'] else ''}{self.job['name']}")
        if self.failure:
            raise self.failure
        try:
            return self._test() if self.job["test"] else self._epoch()
        except UserError as error:
            return {"error": str(error)}
        except FunctionFailed as error:
            self.failure = error
            return {"failure": str(error)}
        except Exception as error:  # as text: Tune reports an exception as a pickle alone
            self.failure = error
            return {"failure": f"{type(error).__name__}: {' '.join(str(error).split())}"}

    def _epoch(self) -> dict[str, Any]:
        name, architecture, seed = self.run
        if self.epochs is None:
            self.notes = [self.training.copies.fetch(name)]
            self.epochs = self.training.run(architecture, seed, name, lambda text: self.notes.append(f"{name}: {text}"))
        epoch = next(epoch for epoch in self.epochs if epoch.epoch > self.job["recorded"])
        notes, self.notes = [*self.notes, self.training.copies.keep(name)], []
        return {"rows": [replace(epoch, trial=name).to_row()], "notes": list(filter(None, notes))}

    def _test(self) -> dict[str, Any]:
        name, architecture, seed = self.run
        note = self.training.copies.fetch(name)
        test = self.training.test(architecture, seed, name)
        return {"test": list(astuple(test)), "notes": [note] if note else []}
