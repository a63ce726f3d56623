"""Training as a generator of epochs."""

import hashlib
import math
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from zenfront.pipeline.device import deterministic_algorithms
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.training import checkpoint as checkpoints
from zenfront.pipeline.training.augment import augment, mix
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.losses import loss_of
from zenfront.pipeline.training.optimisation import new_optimizer, rate_factor
from zenfront.pipeline.training.recolour import recolour
from zenfront.pipeline.training.stochastic_depth import draw_factors, scaled_branches
from zenfront.spaces import Network, initialise

EVALUATED, LARGE, EVALUATED_PIXELS = 500, 128 * 128, 2**21
"""Images that are evaluated together; of images with more pixels than the second number, the third is divided."""


def train(
    network: Network,
    images: Images,
    recipe: Recipe,
    *,
    epochs: int,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    balanced: bool = False,
) -> Generator[Epoch, None, None]:
    """Train a network from new weights, or resume its checkpoint with the same bits as without the interruption.

    When the last epoch is yielded, `network` has the weights that its metrics belong to (with `recipe.ema` the
    averaged ones), ready for `evaluate` on the test data. A run that diverges ends with an item that has the reason.

    Args:
        network: Network as built, on any device, including the meta device. Its weights are drawn here, from the seed.
        images: Data.
        recipe: Training recipe.
        epochs: Number of epochs of the whole run; the schedule depends on it.
        seed: Seed of weights, order and augmentation. Those of epoch e depend on (seed, e) alone.
        device: Device of the training.
        checkpoint: Folder of the run's checkpoints, which are written before each epoch is yielded. If it has one, the
            results of its epochs are yielded first, as recorded, without training them again.
        balanced: Record ``val_balanced_accuracy`` as well.

    Raises:
        UserError: The checkpoint belongs to another run or cannot be written; the recipe does not fit the images.
    """
    _check(recipe, images)
    identity = _identity(network, images, recipe, epochs, seed)
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # numbers are drawn in memory order
    initialise(network, torch_generator(seed, "weights"), "kaiming", device)
    state = _State.start(network, recipe, epochs, len(images.train) // batch_size(recipe, images))
    history = state.resume(checkpoints.load(checkpoint, identity)) if checkpoint else []
    if len(history) == epochs:
        state.hand_over()
    yield from history

    train_set, validation = images.train.to(device), images.validation.to(device)
    for epoch in range(len(history) + 1, epochs + 1):
        start = time.perf_counter()
        generator = numpy_generator(seed, "epoch", str(epoch))
        with deterministic_algorithms(device.type):  # same seed, same bits
            train_loss, learning_rate = _epoch(state, train_set, images, recipe, generator)
            quality = evaluate(state.evaluated, validation, images)
        metrics = {"train_loss": train_loss, "val_loss": quality.loss, "val_accuracy": quality.accuracy}
        if balanced:
            metrics["val_balanced_accuracy"] = quality.balanced_accuracy
        if failure := _divergence(metrics, recipe):
            yield Epoch("", epoch, {}, failure)
            return
        metrics |= {"learning_rate": learning_rate, "seconds": time.perf_counter() - start}
        history.append(Epoch("", epoch, metrics))
        if checkpoint:
            checkpoints.save(checkpoint, epoch, identity, state.state_dict(history))
        if epoch == epochs:
            state.hand_over()
        yield history[-1]


class Quality(NamedTuple):
    """Quality of a network on labelled images."""

    loss: float
    """Mean cross-entropy in nats."""
    accuracy: float
    """Fraction of the images."""
    balanced_accuracy: float
    """Mean over the classes that occur of the fraction of their images."""


@torch.inference_mode()
def evaluate(network: nn.Module, part: ImageSet, images: Images) -> Quality:
    """Return loss and accuracies in float32, without augmentation.

    Args:
        network: Network on any device; left in evaluation mode.
        part: Images to classify.
        images: Data that the network was trained on; it has the normalisation.
    """
    network.eval()
    device = next(network.parameters()).device
    loss = torch.zeros((), dtype=torch.float64, device=device)
    right, size = torch.zeros((2, images.classes), dtype=torch.int64, device=device)
    order = torch.arange(len(part), device=part.labels.device)
    for pixels, labels in part.batches(order, _evaluated_together(part)):
        labels = labels.to(device)
        logits = network(images.normalise(pixels.to(device)))
        loss = loss + F.cross_entropy(logits, labels, reduction="sum")
        right = right + torch.bincount(labels[logits.argmax(1) == labels], minlength=images.classes)
        size = size + torch.bincount(labels, minlength=images.classes)
    occurs = size > 0
    balanced = (right[occurs].double() / size[occurs]).mean().item()
    return Quality(loss.item() / len(part), right.sum().item() / len(part), balanced)


def _evaluated_together(part: ImageSet) -> int:
    pixels = part.pixels.shape[2:].numel()
    return EVALUATED if pixels <= LARGE else max(1, EVALUATED_PIXELS // pixels)


@dataclass(frozen=True)
class _State:
    """Everything that changes during training."""

    network: Network
    averaged: AveragedModel | None
    optimizer: torch.optim.Optimizer
    schedule: LambdaLR

    @staticmethod
    def start(network: Network, recipe: Recipe, epochs: int, steps: int) -> "_State":
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on CPUs
        averaged = None
        if recipe.ema:  # with the buffers: averaged weights need the BN statistics that belong to them
            average = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
            averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
        optimizer = new_optimizer(network, recipe)
        factor = partial(rate_factor, recipe=recipe, epoch=steps, total=epochs * steps)
        return _State(network, averaged, optimizer, LambdaLR(optimizer, factor))

    @property
    def evaluated(self) -> nn.Module:
        return self.network if self.averaged is None else self.averaged.module

    def hand_over(self) -> None:
        """Copy the weights that are evaluated to the network."""
        self.network.load_state_dict(self.evaluated.state_dict())

    def _components(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in ("network", "averaged", "optimizer", "schedule")}
        return {name: part for name, part in parts.items() if part is not None}

    def state_dict(self, history: list[Epoch]) -> dict[str, Any]:
        results = [{"epoch": result.epoch, "metrics": dict(result.metrics)} for result in history]
        return {"history": results} | {name: part.state_dict() for name, part in self._components().items()}

    def resume(self, saved: dict[str, Any] | None) -> list[Epoch]:
        """Load a checkpoint; return the results of its epochs."""
        if saved is None:
            return []
        for name, part in self._components().items():
            part.load_state_dict(saved[name])
        return [Epoch("", **result) for result in saved["history"]]


def _epoch(
    state: _State, image_set: ImageSet, images: Images, recipe: Recipe, generator: np.random.Generator
) -> tuple[float, float]:
    """Train one epoch in random order; return the mean loss and the last learning rate."""
    losses: list[Tensor] = []
    state.network.train()
    for x, y in draw_batches(image_set, images, recipe, generator):
        losses.append(train_step(state.network, state.optimizer, x, y, recipe, generator=generator))
        learning_rate = state.schedule.get_last_lr()[0]
        state.schedule.step()
        if state.averaged is not None:
            state.averaged.update_parameters(state.network)
    return torch.stack(losses).double().mean().item(), float(learning_rate)


def draw_batches(
    image_set: ImageSet, images: Images, recipe: Recipe, generator: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the mini-batches of one epoch in random order, augmented.

    Yields:
        Normalised images (N, C, H, W) float32 and targets (N, K), on the device of the labels.
    """
    size = batch_size(recipe, images)
    order = torch.from_numpy(generator.permutation(len(image_set))).to(image_set.labels.device)
    whole = order[: len(order) // size * size]  # no smaller last mini-batch: BN would learn noise, or fail
    key = int(generator.integers(2**63)) if image_set.is_cut_at_random else None
    for pixels, labels in image_set.batches(whole, size, key):
        x = augment(images.normalise(recolour(pixels, recipe, generator)), recipe, generator)
        y = F.one_hot(labels, images.classes).float()
        yield mix(x, y, recipe, generator)


def train_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    recipe: Recipe,
    *,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Train a network in training mode on one mini-batch; return the loss, on the device, without its graph.

    Only stochastic depth needs a generator.
    """
    optimizer.zero_grad()
    factors = draw_factors(network, recipe.stochastic_depth, len(x), generator).to(x.device)
    losses = []
    for own_x, own_y, own_factors in _parts(x, y, factors, recipe.accumulate):
        with scaled_branches(network, own_factors):
            losses.append(_backward(network, own_x, own_y, len(x), recipe))
    if recipe.clip_norm:
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
    optimizer.step()
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum()  # not read: each reading would wait for the GPU


def _parts(x: Tensor, y: Tensor, factors: Tensor, count: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    return zip(x.chunk(count), y.chunk(count), factors.chunk(count, 1), strict=True)


def _backward(network: nn.Module, x: Tensor, y: Tensor, size: int, recipe: Recipe) -> Tensor:
    """Add the gradients of a part of a mini-batch of that size; return the part's share of the mean loss."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=_bfloat16(recipe, x.device)):
        loss = loss_of(network(x), y, recipe)
    if len(x) < size:
        loss = loss * (len(x) / size)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def batch_size(recipe: Recipe, images: Images) -> int:
    """Return the number of images in a mini-batch: that of the recipe, or all there are."""
    return min(recipe.batch_size, len(images.train))


def _bfloat16(recipe: Recipe, device: torch.device) -> bool:
    if recipe.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return recipe.precision == "bfloat16"


def _divergence(metrics: Mapping[str, float], recipe: Recipe) -> str | None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            return f"training diverged: {name} is {value} (learning rate at most {recipe.learning_rate:g})"
    return None


def _check(recipe: Recipe, images: Images) -> None:
    if problem := recipe.misfit(min(images.train.pixels.shape[2:])):
        raise UserError(f"train.recipe.{problem}.")


def _identity(network: Network, images: Images, recipe: Recipe, epochs: int, seed: int) -> dict[str, Any]:
    """Return everything that the run depends on, as JSON values."""
    return {
        "network": hashlib.sha256(repr(network).encode()).hexdigest()[:16],
        "recipe": recipe.identity(),
        "epochs": epochs,
        "seed": seed,
        "images": {"train": len(images.train), "mean": images.mean.tolist(), "std": images.std.tolist()},
    }
