"""Training of a supernet as a generator of evaluated steps: one architecture takes each mini-batch."""

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zenfront.pipeline.device import deterministic_algorithms
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.results.supernet_rows import Kind, SupernetStep
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.supernet.averages import WeightAverage
from zenfront.pipeline.supernet.child_order import child_order
from zenfront.pipeline.supernet.course import Course
from zenfront.pipeline.supernet.evaluation import Evaluator, recalibrate
from zenfront.pipeline.supernet.supernet import Supernet
from zenfront.pipeline.training import checkpoint as checkpoints
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.loop import draw_batches, train_step
from zenfront.pipeline.training.optimisation.optimiser import new_optimizer
from zenfront.spaces import Architecture, Network


def train_supernet(
    supernet: Supernet, images: Images, course: Course, *, device: torch.device, checkpoint: Path | None = None
) -> Generator[SupernetStep, None, None]:
    """Train a supernet from new weights, or resume its checkpoint with the same bits as without the interruption.

    A step trains the network of one architecture on a mini-batch and changes no weight of others. A run that diverges
    ends with a row that has the reason.

    Args:
        supernet: Supernet as built, on the meta device; its weights are drawn here.
        images: Data; accuracies are those on the validation images.
        course: What is done.
        device: Device of the training.
        checkpoint: Folder of checkpoints, written after each epoch, before its last row is yielded. If it has one, the
            rows up to there are yielded first, as recorded.

    Raises:
        UserError: The checkpoint belongs to another run or cannot be written; the course does not fit the images.
    """
    course.check(images)
    run = _Run(supernet, images, course, device)
    identity = run.identity()
    if checkpoint and (saved := checkpoints.load(checkpoint, identity)):
        run.load_state_dict(saved)
    yield from run.history
    for epoch in range(run.epochs + 1, course.epochs + 1):
        waiting: SupernetStep | None = None
        for row in run.epoch(epoch):
            if waiting:
                yield waiting
            waiting = row
        failed = waiting is not None and waiting.failure
        if checkpoint and not failed:
            checkpoints.save(checkpoint, epoch, identity, run.state_dict())
        if waiting:
            yield waiting
        if failed:
            return


@dataclass
class _Progress:
    """What a run has done, beside its weights."""

    steps: int = 0
    epochs: int = 0
    cycles: int = 0
    waiting: list[int] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)


class _Run:
    """Everything that changes during the training."""

    def __init__(self, supernet: Supernet, images: Images, course: Course, device: torch.device) -> None:
        self._supernet, self._images, self._course = supernet, images, course
        supernet.initialise(torch_generator(course.seed, "weights"), device)
        self._optimizer = new_optimizer(supernet, course.recipe)
        self._train, self._validation = images.train.to(device), images.validation.to(device)
        self._evaluator = Evaluator(supernet, self._validation, images)
        config = course.config
        self._ema = WeightAverage(supernet, config.ema) if config.ema else None
        self._swa = WeightAverage(supernet) if config.swa else None
        self._progress = _Progress(alive=list(range(len(supernet.architectures))))
        self._losses: list[Tensor] = []
        self._since = time.perf_counter()
        self.history: list[SupernetStep] = []

    @property
    def epochs(self) -> int:
        """Number of completed epochs."""
        return self._progress.epochs

    def epoch(self, epoch: int) -> Iterator[SupernetStep]:
        """Train one epoch and yield its evaluated steps."""
        generator = numpy_generator(self._course.seed, "epoch", str(epoch))
        self._since = time.perf_counter()
        with deterministic_algorithms(self._train.labels.device.type):  # same seed, same bits
            for x, y in draw_batches(self._train, self._images, self._course.recipe, generator):
                child = self._step(x, y, generator)
                if self._course.is_evaluated(self._progress.steps, self._images):
                    yield self._row("shared", child)
                    if self.history[-1].failure:
                        return
            self._progress.epochs = epoch
            self._prune()
            for kind in self._course.remedies(epoch):
                yield self._row(kind, child)

    def _step(self, x: Tensor, y: Tensor, generator: np.random.Generator) -> int:
        """Train the next architecture on a mini-batch; return its index."""
        progress = self._progress
        child = self._next_child()
        for group in self._optimizer.param_groups:
            group["lr"] = self._course.learning_rate(progress.steps, self._images)
        network = self._path(child).train()
        self._losses.append(train_step(network, self._optimizer, x, y, self._course.recipe, generator=generator))
        progress.steps += 1
        if self._ema:
            self._ema.update()
        total = self._course.epochs * self._course.steps(self._images)
        if self._swa and progress.steps > (1 - self._course.config.swa) * total:
            self._swa.update()
        return child

    def _next_child(self) -> int:
        progress = self._progress
        if not progress.waiting:
            kind, seed = self._course.setting.order, self._course.order_seed
            progress.waiting = child_order(kind, progress.alive, seed, progress.cycles)
            progress.cycles += 1
        return progress.waiting.pop(0)

    def _path(self, child: int) -> Network:
        return self._supernet.path(self._supernet.architectures[child])

    def _row(self, kind: Kind, child: int) -> SupernetStep:
        seconds, start = time.perf_counter() - self._since, time.perf_counter()
        loss = torch.stack(self._losses).double().mean().item() if self._losses else None
        rate = self._course.learning_rate(self._progress.steps - 1, self._images)
        failure = None
        if loss is not None and not math.isfinite(loss):
            highest = self._course.recipe.learning_rate
            failure = f"training diverged: train_loss is {loss} (learning rate at most {highest:g})"
            accuracy: list[float | None] = []
        else:
            accuracy = self._by_architecture(self._accuracies(kind))
        self._losses, self._since = [], time.perf_counter()
        row = SupernetStep(
            step=self._progress.steps,
            kind=kind,
            child=child,
            accuracy=tuple(accuracy),
            train_loss=None if failure else loss,
            learning_rate=rate,
            seconds=seconds,
            evaluation_seconds=self._since - start,
            failure=failure,
        )
        self.history.append(row)
        return row

    def _by_architecture(self, values: np.ndarray) -> list[float | None]:
        found = dict(zip(self._evaluated, values.tolist(), strict=True))
        return [found.get(index) for index in range(len(self._supernet.architectures))]

    @property
    def _evaluated(self) -> list[int]:
        return self._progress.alive[: self._course.evaluated]

    def _accuracies(self, kind: Kind) -> np.ndarray:
        alive = [self._supernet.architectures[index] for index in self._evaluated]
        match kind:
            case "shared" if self._course.setting.norm.statistics == "recalibrated":
                return self._recalibrated(alive, self._course.setting.norm.batches)
            case "shared":
                return self._evaluator.accuracies(alive)
            case "recalibrated":
                return self._recalibrated(alive, self._course.config.recalibrate)
            case "finetuned":
                return self._evaluator.one_by_one(alive, self._fine_tune)
        average = self._ema if kind == "ema" else self._swa
        assert average
        with average.applied():
            return self._evaluator.accuracies(alive)

    def _recalibrated(self, architectures: list[Architecture], count: int) -> np.ndarray:
        batches = calibration_batches(self._course, self._images, self._train, count)
        prepare = self._supernet.path
        return self._evaluator.one_by_one(architectures, lambda each: recalibrate(prepare(each), batches))

    def _fine_tune(self, architecture: Architecture) -> None:
        """Train an architecture from the shared weights, at the learning rate with which the last epoch began."""
        course, tuning = self._course, self._course.config.finetune
        assert tuning
        network = self._supernet.path(architecture).train()
        rate = course.learning_rate((self._progress.epochs - 1) * course.steps(self._images), self._images)
        optimizer = new_optimizer(network, course.recipe.model_copy(update={"learning_rate": rate}))
        generator = numpy_generator(course.seed, "fine-tuning", architecture.id)
        for x, y in _first(tuning.batches, self._train, self._images, course.recipe, generator):
            train_step(network, optimizer, x, y, course.recipe, generator=generator)

    def _prune(self) -> None:
        """Drop the architectures with the lowest accuracy, if it is time."""
        prune, progress = self._course.setting.prune, self._progress
        if prune is None or progress.epochs % prune.every or progress.epochs == self._course.epochs:
            return
        accuracy = self.history[-1].accuracy
        kept = max(prune.keep, len(progress.alive) - int(prune.fraction * len(progress.alive)))
        best = sorted(progress.alive, key=lambda index: -(accuracy[index] or 0.0))[:kept]
        progress.alive, progress.waiting = sorted(best), []

    def identity(self) -> dict[str, Any]:
        """Return everything that the run depends on, as JSON values."""
        course, images = self._course, self._images
        return {
            "architectures": [architecture.id for architecture in self._supernet.architectures],
            "setting": course.setting.model_dump(mode="json"),
            "evaluations": course.config.model_dump(
                mode="json", include={"last", "every", "ema", "swa", "recalibrate", "finetune"}
            ),
            "recipe": course.recipe.identity(),
            "epochs": course.epochs,
            "seeds": [course.seed, course.order_seed],
            "images": {"train": len(images.train), "mean": images.mean.tolist(), "std": images.std.tolist()},
        }

    def _parts(self) -> dict[str, Any]:
        parts = {"supernet": self._supernet, "optimizer": self._optimizer, "ema": self._ema, "swa": self._swa}
        return {name: part for name, part in parts.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes."""
        rows = [row.to_row() for row in self.history]
        return {"progress": asdict(self._progress), "history": rows} | {
            n: part.state_dict() for n, part in self._parts().items()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the result of `state_dict`."""
        self._progress = _Progress(**state["progress"])
        self.history = [SupernetStep.from_row(row | {"accuracy": tuple(row["accuracy"])}) for row in state["history"]]
        for name, part in self._parts().items():
            part.load_state_dict(state[name])


def calibration_batches(course: Course, images: Images, part: ImageSet, count: int) -> list[Tensor]:
    """Return mini-batches of normalised images without augmentation, on which batch normalisation is recalibrated."""
    generator = numpy_generator(course.seed, "recalibration")
    plain = course.recipe.without_augmentation()
    return [x for x, _ in _first(count, part, images, plain, generator)]


def _first(
    count: int, part: ImageSet, images: Images, recipe: Recipe, generator: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a number of mini-batches, over several epochs if one has fewer."""
    left = count
    while left:
        for batch in draw_batches(part, images, recipe, generator):
            yield batch
            left -= 1
            if not left:
                return
