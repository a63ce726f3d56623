"""Settings that all runs of the training stage share: the method, the data and the limits."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.device import resolve
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.record.copies.checkpoints import CheckpointCopies
from zenfront.pipeline.record.copies.storage import Storage
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.stages.train.jobs import Evaluation
from zenfront.pipeline.training import data, loop
from zenfront.pipeline.training.classes import images_behind
from zenfront.pipeline.training.function import TrainingFunction
from zenfront.pipeline.training.parallel.ranks import ALONE, Ranks
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
        ranks: Processes that train a network together.
    """

    images: data.Images
    recipe: Recipe
    metric: str
    teacher: Teacher | None = None
    ranks: Ranks = ALONE

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
            ranks=self.ranks,
        )

    def test(self, network: Network) -> Evaluation:
        """Return the quality of a trained network on the test data."""
        test = self.images.test()
        quality = loop.evaluate(network, test, self.images, self.ranks)
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

    def shared_by(self, ranks: Ranks) -> "Training":
        """Return the same training by several processes; it must be that of a recipe."""
        assert isinstance(self.method, RecipeTraining)
        return replace(self, method=replace(self.method, ranks=ranks))

    @property
    def copies(self) -> CheckpointCopies:
        """The checkpoints, with their copies in the storage."""
        return CheckpointCopies(self.checkpoints, self.storage)
