"""Training as a generator of epochs."""

import hashlib
import math
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zenfront.pipeline.device import deterministic_algorithms
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.training import checkpoint as checkpoints
from zenfront.pipeline.training.augmentation.augment import augment, mix
from zenfront.pipeline.training.augmentation.recolour import recolour
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.optimisation.losses import loss_of
from zenfront.pipeline.training.parallel.batch_norm import synchronise
from zenfront.pipeline.training.parallel.ranks import ALONE, Ranks
from zenfront.pipeline.training.parallel.shares import Share, misfit, whole
from zenfront.pipeline.training.state import State
from zenfront.pipeline.training.stochastic_depth import draw_factors, scaled_branches
from zenfront.pipeline.training.teacher import Lesson, Teacher
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
    ranks: Ranks = ALONE,
    teacher: Teacher | None = None,
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
        ranks: Processes that train the network together, each with a share of every mini-batch. All call this
            function with the same arguments, and only the first one reads and writes checkpoints.
        teacher: Trained network that the network learns from as well.

    Raises:
        UserError: The checkpoint belongs to another run or cannot be written; the recipe does not fit the images.
    """
    _check(recipe, images, ranks)
    identity = _identity(network, images, recipe, epochs, seed) | (teacher.identity() if teacher else {})
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # numbers are drawn in memory order
    initialise(network, torch_generator(seed, "weights"), "kaiming", device)
    ranks.copy_first(network)  # processors of two kinds can draw numbers that differ in the last bit
    if recipe.sync_batch_norm and ranks.count > 1:
        synchronise(network, device)
    share = Share(ranks, batch_size(recipe, images), recipe.accumulate)
    state = State.start(network, recipe, epochs, len(images.train) // share.size)
    history = state.resume(ranks.same(lambda: checkpoints.load(checkpoint, identity) if checkpoint else None))
    if len(history) == epochs:
        state.hand_over()
    yield from history

    train_set, validation = images.train.to(device), images.validation.to(device)
    lesson = Lesson(teacher, images, device) if teacher and len(history) < epochs else None
    for epoch in range(len(history) + 1, epochs + 1):
        start = time.perf_counter()
        generator = numpy_generator(seed, "epoch", str(epoch))
        with deterministic_algorithms(device.type):  # same seed, same bits
            train_loss, learning_rate = _epoch(state, train_set, images, recipe, generator, share, lesson)
            ranks.copy_first(state.evaluated)  # each rank has its own running statistics
            quality = evaluate(state.evaluated, validation, images, ranks)
        metrics = {"train_loss": train_loss, "val_loss": quality.loss, "val_accuracy": quality.accuracy}
        if balanced:
            metrics["val_balanced_accuracy"] = quality.balanced_accuracy
        if failure := _divergence(metrics, recipe):
            yield Epoch("", epoch, {}, failure)
            return
        metrics |= {"learning_rate": learning_rate, "seconds": time.perf_counter() - start}
        history.append(Epoch("", epoch, metrics))
        if checkpoint and ranks.is_first:
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
def evaluate(network: nn.Module, part: ImageSet, images: Images, ranks: Ranks = ALONE) -> Quality:
    """Return loss and accuracies in float32, without augmentation.

    Args:
        network: Network on any device; left in evaluation mode.
        part: Images to classify.
        images: Data that the network was trained on; it has the normalisation.
        ranks: Processes that share the images; the result is the same in all of them.
    """
    network.eval()
    device = next(network.parameters()).device
    loss = torch.zeros((), dtype=torch.float64, device=device)
    right, size = torch.zeros((2, images.classes), dtype=torch.int64, device=device)
    own = torch.arange(len(part), device=part.labels.device).tensor_split(ranks.count)[ranks.rank]
    for pixels, labels in part.batches(own, _evaluated_together(part)):
        labels = labels.to(device)
        logits = network(images.normalise(pixels.to(device)))
        loss = loss + F.cross_entropy(logits, labels, reduction="sum")
        right = right + torch.bincount(labels[logits.argmax(1) == labels], minlength=images.classes)
        size = size + torch.bincount(labels, minlength=images.classes)
    ranks.add(loss, right, size)
    occurs = size > 0
    balanced = (right[occurs].double() / size[occurs]).mean().item()
    return Quality(loss.item() / len(part), right.sum().item() / len(part), balanced)


def _evaluated_together(part: ImageSet) -> int:
    pixels = part.pixels.shape[2:].numel()
    return EVALUATED if pixels <= LARGE else max(1, EVALUATED_PIXELS // pixels)


def _epoch(
    state: State,
    image_set: ImageSet,
    images: Images,
    recipe: Recipe,
    generator: np.random.Generator,
    share: Share,
    lesson: Lesson | None,
) -> tuple[float, float]:
    """Train one epoch in random order; return the mean loss and the last learning rate."""
    losses: list[Tensor] = []
    state.network.train()
    draws = share.draws(generator)
    for x, y in draw_batches(image_set, images, recipe, generator, share):
        losses.append(train_step(state.network, state.optimizer, x, y, recipe, share, generator=draws, lesson=lesson))
        learning_rate = state.schedule.get_last_lr()[0]
        state.schedule.step()
        if state.averaged is not None:
            state.averaged.update_parameters(state.network)
    each = torch.stack(losses).double()
    share.ranks.add(each)
    return each.mean().item(), float(learning_rate)


def draw_batches(
    image_set: ImageSet,
    images: Images,
    recipe: Recipe,
    generator: np.random.Generator,
    share: Share | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the mini-batches of one epoch in random order, augmented.

    Args:
        image_set: Images to draw from.
        images: Data that they belong to.
        recipe: Training recipe.
        generator: Source of all randomness.
        share: Images of each mini-batch that are wanted; all if it is not given.

    Yields:
        Normalised images (N, C, H, W) float32 and targets (N, K), on the device of the labels.
    """
    size = batch_size(recipe, images)
    share = share or whole(size, recipe.accumulate)
    order = torch.from_numpy(generator.permutation(len(image_set))).to(image_set.labels.device)
    complete = order[: len(order) // size * size]  # no smaller last mini-batch: BN would learn noise, or fail
    key = int(generator.integers(2**63)) if image_set.is_cut_at_random else None
    draws = share.draws(generator)
    for pixels, labels in image_set.batches(share.of_each(complete), len(share.rows), key):
        x = augment(images.normalise(recolour(pixels, recipe, draws)), recipe, draws)
        y = F.one_hot(labels, images.classes).float()
        if recipe.mixup or recipe.cutmix:  # with images of any rank
            x, y = mix(share.gathered(x), share.gathered(y), recipe, generator)
            x, y = share.own(x), share.own(y)
        yield x, y


def train_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    recipe: Recipe,
    share: Share | None = None,
    *,
    generator: np.random.Generator | None = None,
    lesson: Lesson | None = None,
) -> Tensor:
    """Train a network in training mode on one mini-batch, or on a share of it together with the other ranks.

    Args:
        network: Network in training mode.
        optimizer: Optimiser of its weights.
        x: Images (N, C, H, W), or those of the share.
        y: Targets (N, K), or those of the share.
        recipe: Training recipe.
        share: Images of the mini-batch that are given; all of them if it is not given.
        generator: Source of all randomness, which only stochastic depth needs; `Share.draws` for a share.
        lesson: Teacher that the network learns from as well.

    Returns:
        The loss, on the device, without its graph; that of a share is what it adds to the mean of the mini-batch.
    """
    share = share or whole(len(x), recipe.accumulate)
    optimizer.zero_grad()
    factors = draw_factors(network, recipe.stochastic_depth, len(x), generator).to(x.device)
    losses = []
    for own_x, own_y, own_factors in zip(*(share.parts(each) for each in (x, y, factors.T)), strict=True):
        with scaled_branches(network, own_factors.T):
            losses.append(_backward(network, own_x, own_y, share.size, recipe, lesson))
    share.ranks.add_gradients(network.parameters())
    if recipe.clip_norm:
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
    optimizer.step()
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum()  # not read: each reading would wait for the GPU


def _backward(network: nn.Module, x: Tensor, y: Tensor, size: int, recipe: Recipe, lesson: Lesson | None) -> Tensor:
    """Add the gradients of a part of a mini-batch of that size; return the part's share of the mean loss."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=_bfloat16(recipe, x.device)):
        logits = network(x)
        loss = loss_of(logits, y, recipe)
        if lesson:
            loss = lesson.mixed(loss, logits, x)
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


def _check(recipe: Recipe, images: Images, ranks: Ranks) -> None:
    if problem := misfit(batch_size(recipe, images), recipe.accumulate, ranks.count):
        raise UserError(f"resources.train.devices: {problem}.")
    if problem := recipe.misfit(*images.train.pixels.shape[1:]):
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
