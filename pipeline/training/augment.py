"""Augmentation of a mini-batch on its device.

kornia draws from torch's global generator and takes no other (0.9, `augmentation/_2d/base.py`), so the parameters
are drawn here, from NumPy's generator (torch's has no Beta distribution), and handed to kornia. Crops and mixup are
plain tensor operations: kornia's crop copies image by image, its mixup has uniform weights instead of Beta's.
"""

from typing import Any

import numpy as np
import torch
from kornia.augmentation import RandomErasing, RandomHorizontalFlip
from torch import Tensor
from torch.nn import functional as F

from zenfront.pipeline.experiment.config import Recipe

_FLIP = RandomHorizontalFlip(p=0.5)  # any p < 1: `batch_prob` decides, and it is given
_ERASE = RandomErasing(p=0.5)


def augment(images: Tensor, recipe: Recipe, generator: np.random.Generator) -> Tensor:
    """Crops, flips and cuts out, as the recipe says.

    Args:
        images: (N, C, H, W) float32, normalised: 0 is the mean, which fills padding and cut-outs.
        recipe: Which, and how much.
        generator: Source of all randomness.

    Returns:
        (N, C, H, W), new where anything changed.
    """
    if recipe.crop_padding:
        images = crop(images, recipe.crop_padding, generator)
    if recipe.flip:
        images = flip(images, generator)
    if recipe.cutout:
        images = cutout(images, recipe.cutout, generator)
    return images


def crop(images: Tensor, padding: int, generator: np.random.Generator) -> Tensor:
    """Pads with zeros on all sides, then cuts (H, W) out of each image at a uniform place."""
    count, _, height, width = images.shape
    windows = F.pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # (N, C, 2p+1, 2p+1, H, W), a view
    top, left = torch.from_numpy(generator.integers(2 * padding + 1, size=(2, count))).to(images.device)
    return windows[torch.arange(count, device=images.device), :, top, left]


def flip(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Mirrors each image left to right with probability 1/2."""
    mirrored = torch.from_numpy(generator.random(len(images)) < 0.5)
    return _FLIP(images, params=_parameters(images, mirrored))  # type: ignore[no-any-return]


def cutout(images: Tensor, side: int, generator: np.random.Generator) -> Tensor:
    """Sets a square to 0 around a uniform pixel of each image; what lies outside of the image is lost.

    Source: DeVries, Taylor, 2017, arXiv:1708.04552, sec. 3.2.
    """
    count, _, height, width = images.shape
    middle = torch.from_numpy(np.stack([generator.integers(size, size=count) for size in (height, width)]))
    y, x = (middle - side // 2).float()
    length = torch.full((count,), float(side))
    box = {"xs": x, "ys": y, "widths": length, "heights": length, "values": torch.zeros(count)}
    everywhere = torch.ones(count, dtype=torch.bool)
    return _ERASE(images, params=_parameters(images, everywhere, **box))  # type: ignore[no-any-return]


def mixup(images: Tensor, targets: Tensor, alpha: float, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Replaces images and targets by lambda x + (1 - lambda) x of another order, one lambda ~ Beta(alpha, alpha).

    Args:
        images: (N, C, H, W).
        targets: (N, K) probabilities.
        alpha: Above 0; the greater, the stronger.
        generator: Source of all randomness.

    Source: Zhang et al., ICLR 2018, arXiv:1710.09412, sec. 2 (one lambda a mini-batch, as in their code).
    """
    weight = generator.beta(alpha, alpha)
    other = torch.from_numpy(generator.permutation(len(images))).to(images.device)
    return weight * images + (1 - weight) * images[other], weight * targets + (1 - weight) * targets[other]


def _parameters(images: Tensor, applied: Tensor, **more: Tensor) -> dict[str, Any]:
    return {"batch_prob": applied, "forward_input_shape": torch.tensor(images.shape), **more}
