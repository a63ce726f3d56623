"""The mini-batch that a user gives for a score, and what it lacks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.scoring import noise_batch
from zenfront.spaces import Task

NOISE = 32
"""Images of a mini-batch of noise."""


@dataclass(frozen=True)
class GivenBatch:
    """A mini-batch.

    Attributes:
        batch: Images (N, C, H, W) and labels (N,).
        real: Whether the images are the user's; otherwise they are noise.
        labelled: Whether the labels are the user's.
    """

    batch: Batch
    real: bool
    labelled: bool

    @staticmethod
    def of(images: Tensor | None, labels: Tensor | None, task: Task | None, seed: int) -> "GivenBatch":
        """Check what the user gives; without images, draw standard normal ones of the task's shape.

        Raises:
            UserError: There are neither images nor a task, or their shapes, types or values do not fit together.
        """
        received: dict[str, object] = {"images": images, "labels": labels}
        for name, given in received.items():
            if given is not None and not isinstance(given, Tensor):
                kind = type(given).__name__
                raise UserError(
                    f"{name}= must be a torch.Tensor, but is a {kind}. Convert it: torch.as_tensor({name})."
                )
        if images is None:
            if task is None:
                raise UserError("give images=, a tensor (N, C, H, W), or task=(channels, height, width, classes).")
            if labels is not None:
                raise UserError("labels= goes with images=: labels of noise tell nothing.")
            return GivenBatch(noise_batch(task, NOISE, seed), real=False, labelled=False)
        _check_images(images, task)
        if labels is None:
            return GivenBatch(Batch(images, torch.zeros(len(images), dtype=torch.int64)), real=True, labelled=False)
        if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
            raise UserError(
                f"labels= must be int64 of shape ({len(images)},), one for each image, but is {_described(labels)}."
            )
        return GivenBatch(Batch(images, labels), real=True, labelled=True)

    def lacks(self, proxy: Proxy) -> str | None:
        """Return the reason why a proxy is undefined on this mini-batch, or None."""
        if proxy.of_supernet:
            return f"{proxy.name}: needs the supernet of an experiment"
        needs = "images" in proxy.needs, "labels" in proxy.needs
        if needs[0] and not self.real:
            with_labels = " and labels=" if needs[1] else ""
            return f"{proxy.name}: needs real images, and noise says nothing; pass images={with_labels}"
        if needs[1] and not self.labelled:
            return f"{proxy.name}: needs the labels of the images; pass labels="
        return None

    def check_classes(self, classes: int | None) -> None:
        """Check that the labels are classes of the task.

        Raises:
            UserError: A label is out of range, or the task has no classes.
        """
        labels = self.batch.labels
        if self.labelled and classes is None:
            raise UserError("labels= are classes, but the task has outputs. Leave them out.")
        if self.labelled and classes is not None and not bool(((labels >= 0) & (labels < classes)).all()):
            low, high = int(labels.min()), int(labels.max())
            raise UserError(f"labels= must be from 0 to {classes - 1} for {classes} classes, but are {low} to {high}.")


def _check_images(images: Tensor, task: Task | None) -> None:
    if images.dim() != 4 or images.dtype not in (torch.float32, torch.float64):
        raise UserError(
            f"images= must be float32 or float64 of shape (N, C, H, W), normalised, but is {_described(images)}."
        )
    if not len(images) or not bool(images.isfinite().all()):
        raise UserError(f"images= must hold at least one image and finite values, but is {_described(images)}.")
    if task and images.shape[1:] != (task.channels, task.height, task.width):
        shape = (task.channels, task.height, task.width)
        raise UserError(f"images= must have the shape (N, *{shape}) of the task, but is {_described(images)}.")


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
