"""Compare a written file with the network that it was made of."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.graph.module import random_images
from zenfront.pipeline.export.subject import Subject

BATCHES = (1, 7)
"""Sizes of the batches that a file is checked with."""
TOLERANCE = 1e-4
"""Largest difference between logits, relative to the largest logit."""


def check_agreement(
    subject: Subject, module: nn.Module, takes_pixels: bool, run: Callable[[Tensor], Tensor], what: str
) -> float:
    """Return the largest difference between logits relative to the largest logit, over batches of 1 and 7 images.

    Args:
        subject: What is exported.
        module: The network that was written.
        takes_pixels: Whether it takes pixel values.
        run: Function that runs the file: images (N, C, H, W) to logits (N, K).
        what: The file, for the message.

    Raises:
        UserError: The difference is larger than `TOLERANCE`.
    """
    worst = 0.0
    for count in BATCHES:
        images = random_images(subject, takes_pixels, count)
        with torch.inference_mode():
            worst = max(worst, _difference(run(images), module(images)))
    if worst <= TOLERANCE:
        return worst
    raise UserError(
        f"{what} does not compute what the network computes: its logits differ by {worst:.2g} of the largest logit, "
        f"where at most {TOLERANCE:g} is allowed. Nothing is written. Choose another format, and report the "
        f"architecture: {subject.space}, {subject.notation}"
    )


def _difference(found: Tensor, expected: Tensor) -> float:
    """Return infinity for another shape, and for what is not a number."""
    if found.shape != expected.shape:
        return float("inf")
    largest = float((found.double() - expected.double()).abs().max())
    relative = largest / float(expected.double().abs().max()) if largest else 0.0
    return relative if relative == relative else float("inf")
