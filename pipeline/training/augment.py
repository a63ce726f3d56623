"""Augmentation of a mini-batch on its device.

kornia draws from torch's global generator and accepts no other (0.9, `augmentation/_2d/base.py`). The parameters are
therefore drawn here, from a NumPy generator (torch generators have no Beta distribution), and passed to kornia. Crops
and mixup are plain tensor operations, since kornia's crop copies image by image, and the weights of its mixup are
uniform instead of Beta-distributed.
"""

from typing import Any

import numpy as np
import torch
from kornia.augmentation import RandomErasing, RandomHorizontalFlip
from torch import Tensor
from torch.nn import functional as F

from zenfront.pipeline.experiment.train_config import Recipe

_FLIP = RandomHorizontalFlip(p=0.5)  # any p < 1 will do: the `batch_prob` that is passed decides
_ERASE = RandomErasing(p=0.5)


def augment(images: Tensor, recipe: Recipe, generator: np.random.Generator) -> Tensor:
    """Apply the crops, flips and cutout of the recipe.

    Args:
        images: Normalised images (N, C, H, W), float32; padding and cutouts are filled with 0, the mean.
        recipe: Recipe that selects the augmentations and their strength.
        generator: Source of all randomness.

    Returns:
        Images (N, C, H, W); a new tensor if any augmentation is active.
    """
    if recipe.crop_padding:
        images = crop(images, recipe.crop_padding, generator)
    if recipe.flip:
        images = flip(images, generator)
    if recipe.cutout:
        images = cutout(images, recipe.cutout, generator)
    return images


def crop(images: Tensor, padding: int, generator: np.random.Generator) -> Tensor:
    """Pad with zeros on all sides, then crop each image to (H, W) at a uniformly drawn position."""
    count, _, height, width = images.shape
    windows = F.pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # (N, C, 2p+1, 2p+1, H, W), a view
    top, left = torch.from_numpy(generator.integers(2 * padding + 1, size=(2, count))).to(images.device)
    return windows[torch.arange(count, device=images.device), :, top, left]


def flip(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Flip each image horizontally with probability 1/2."""
    mirrored = torch.from_numpy(generator.random(len(images)) < 0.5)
    return _FLIP(images, params=_parameters(images, mirrored))  # type: ignore[no-any-return]


def cutout(images: Tensor, side: int, generator: np.random.Generator) -> Tensor:
    """Set a square around a uniformly drawn pixel of each image to 0; the square is clipped at the border.

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
    """Mix images and targets with those of a random permutation of the mini-batch.

    x_i becomes lambda x_i + (1 - lambda) x_p(i), with one lambda ~ Beta(alpha, alpha); targets are mixed the same way.

    Args:
        images: Images (N, C, H, W).
        targets: Class probabilities (N, K).
        alpha: Parameter of the Beta distribution, above 0; larger values mix more strongly.
        generator: Source of all randomness.

    Returns:
        Mixed images (N, C, H, W) and targets (N, K).

    Source: Zhang et al., ICLR 2018, arXiv:1710.09412, sec. 2 (one lambda per mini-batch, as in the authors' code).
    """
    weight = generator.beta(alpha, alpha)
    other = torch.from_numpy(generator.permutation(len(images))).to(images.device)
    return weight * images + (1 - weight) * images[other], weight * targets + (1 - weight) * targets[other]


def _parameters(images: Tensor, applied: Tensor, **more: Tensor) -> dict[str, Any]:
    return {"batch_prob": applied, "forward_input_shape": torch.tensor(images.shape), **more}
