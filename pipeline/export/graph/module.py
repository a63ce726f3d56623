"""The network that a graph is made of, with or without the normalisation of the images."""

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.subject import Subject
from zenfront.pipeline.seeds import torch_generator


class FromPixels(nn.Module):
    """A network that normalises its images itself: pixel values (N, C, H, W), 0 .. 255 in float32, to logits (N, K).

    Args:
        network: Network of normalised images.
        mean: Mean of each channel, in units of the pixel values.
        std: Standard deviation of each channel, in the same units.
    """

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        self.mean = nn.Buffer(torch.tensor(mean)[:, None, None])
        self.std = nn.Buffer(torch.tensor(std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits (N, K) of pixel values (N, C, H, W)."""
        return self.network((images - self.mean) / self.std)  # type: ignore[no-any-return]


def exported_module(subject: Subject, takes_pixels: bool) -> nn.Module:
    """Return the network to write, in evaluation mode.

    Args:
        subject: What is exported.
        takes_pixels: Whether the network takes pixel values and normalises them itself.

    Raises:
        UserError: The normalisation is unknown.
    """
    if not takes_pixels:
        return subject.network
    mean, std = subject.preprocessing.mean, subject.preprocessing.std
    if mean is None or std is None:
        raise UserError(
            "--normalise: mean and deviation of the images are unknown, since no training has computed them. Export "
            "without --normalise, or export a trained network."
        )
    return FromPixels(subject.network, mean, std).eval()


def random_images(subject: Subject, takes_pixels: bool, count: int) -> Tensor:
    """Return random images (count, C, H, W) float32 of the size of the task: from N(0, 1), or pixel values 0 .. 255."""
    task, generator = subject.task, torch_generator(0, "export", str(count))
    shape = (count, task.channels, task.height, task.width)
    if takes_pixels:
        return torch.randint(256, shape, generator=generator).float()
    return torch.randn(shape, generator=generator)
