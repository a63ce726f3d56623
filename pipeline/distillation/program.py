"""A teacher as a program of torch.export, which a worker can run without the library that made the network."""

import hashlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.quiet import first_line, quiet
from zenfront.spaces import Task

BYTE, SAME = 255.0, 0.01
"""Largest pixel value; and the largest relative difference of logits that are rounded differently."""


@dataclass(frozen=True)
class Source:
    """A network that can be a teacher.

    Attributes:
        network: Network of normalised images (N, C, H, W) to logits (N, K), in evaluation mode.
        size: Height and width of its images.
        mean: Mean of each channel, in units of pixel values from 0 to 255.
        std: Standard deviation of each channel, in the same units.
        classes: Names of its classes in the order of the logits; empty if they are not known.
    """

    network: nn.Module
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...] = ()


class Prepared(nn.Module):
    """Pixel values (N, C, H, W), 0 .. 255, to logits: resized (bilinear, with antialiasing) and normalised first."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.network, self.size = source.network, source.size
        self.mean = nn.Buffer(torch.tensor(source.mean)[:, None, None])
        self.std = nn.Buffer(torch.tensor(source.std)[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute the logits (N, K)."""
        if pixels.shape[2:] != self.size:
            pixels = F.interpolate(pixels, self.size, mode="bilinear", antialias=True)
        return self.network((pixels - self.mean) / self.std)  # type: ignore[no-any-return]


def to_program(source: Source, task: Task) -> tuple[bytes, str]:
    """Return the program of a network for the images of a task, and the digest of all that its logits depend on.

    Raises:
        UserError: The network takes other images or has other classes, its logits cannot be learned from, or torch
            cannot export it.
    """
    if len(source.mean) != task.channels:
        raise UserError(f"it takes images of {len(source.mean)} channels, but the task has {task.channels}.")
    prepared, archive = Prepared(source), io.BytesIO()
    for parameter in prepared.parameters():
        parameter.requires_grad_(False)
    images = BYTE * torch.rand(2, task.channels, task.height, task.width, generator=torch.Generator().manual_seed(0))
    weights = {name: value.clone() for name, value in prepared.state_dict().items()}
    _check_logits(prepared, images, source, task)
    prepared.load_state_dict(weights)  # some programs change their own buffers
    try:
        with quiet(), warnings.catch_warnings():
            dimensions = ({0: torch.export.Dim("batch")},)
            torch.export.save(torch.export.export(prepared, (images,), dynamic_shapes=dimensions), archive)
    except Exception as error:  # torch has a type for each reason
        raise UserError(f"torch.export cannot export it for any number of images: {first_line(error)}.") from error
    return archive.getvalue(), _digest(prepared.state_dict(), source.size)


def _check_logits(prepared: Prepared, images: Tensor, source: Source, task: Task) -> None:
    """Check that the logits of an image are finite, of the classes of the task, and depend on that image alone."""
    try:
        with quiet(), torch.no_grad():
            logits, others = prepared(images), prepared(images[[0, 0]])
            shapes = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    except Exception as error:  # of whatever the network is made of
        raise UserError(
            f"it cannot classify two images of {source.size[0]} x {source.size[1]} pixels: {first_line(error)}. "
            "A file of torch.export must take one tensor with any number of images (`dynamic_shapes`)."
        ) from error
    if shapes != (2, task.classes):
        raise UserError(f"it must give two images {task.classes} logits each, as the task has classes, not {shapes}.")
    if not logits.isfinite().all():
        raise UserError("its logits are not finite numbers.")
    if not torch.allclose(logits[0], others[0], rtol=SAME, atol=SAME * float(logits.abs().max())):
        raise UserError(
            "its logits of an image depend on the other images or on chance, as in training mode. Call `eval()` on the "
            "network before `torch.export.export`."
        )


def _digest(weights: Mapping[str, Tensor], size: tuple[int, int]) -> str:
    digest = hashlib.sha256(repr(size).encode())
    for name, value in weights.items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
