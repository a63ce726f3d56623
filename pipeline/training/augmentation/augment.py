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

from zenfront.pipeline.experiment.recipe import Recipe

_FLIP = RandomHorizontalFlip(p=0.5)  # any p < 1 will do: the `batch_prob` that is passed decides
_ERASE = RandomErasing(p=0.5)


def augment(images: Tensor, recipe: Recipe, generator: np.random.Generator) -> Tensor:
    """Apply the crops, flips, cutout and random erasing of the recipe.

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
    if recipe.random_erasing:
        images = erase(images, recipe.random_erasing, generator)
    return images


def mix(images: Tensor, targets: Tensor, recipe: Recipe, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Apply mixup or CutMix of the recipe; with both, one of them to each mini-batch, with probability 1/2.

    Args:
        images: Images (N, C, H, W).
        targets: Class probabilities (N, K).
        recipe: Recipe that selects them and their strength.
        generator: Source of all randomness.

    Returns:
        Images (N, C, H, W) and targets (N, K).
    """
    if recipe.cutmix and (not recipe.mixup or generator.random() < 0.5):
        return cutmix(images, targets, recipe.cutmix, generator)
    return mixup(images, targets, recipe.mixup, generator) if recipe.mixup else (images, targets)


def crop(images: Tensor, padding: int, generator: np.random.Generator) -> Tensor:
    """Pad with zeros on all sides, then crop each image to (H, W) at a uniformly drawn position."""
    count, _, height, width = images.shape
    windows = F.pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # (N, C, 2p+1, 2p+1, H, W), a view
    top, left = torch.from_numpy(generator.integers(2 * padding + 1, size=(2, count))).to(
        images.device, non_blocking=True
    )
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


def erase(images: Tensor, probability: float, generator: np.random.Generator) -> Tensor:
    """Set a rectangle of an image to 0, with a probability; it has 2 to 40 % of the area and sides from 3:10 to 10:3.

    Source: Zhong et al., AAAI 2020, arXiv:1708.04896, alg. 1, with the mean as value. A side that is drawn too long
    for the image is cut instead of drawn again.
    """
    count, _, height, width = images.shape
    area = generator.uniform(0.02, 0.4, count) * height * width
    ratio = generator.uniform(0.3, 1 / 0.3, count)
    sides = [np.clip(np.sqrt(area * each).round(), 1, most) for each, most in ((ratio, height), (1 / ratio, width))]
    starts = [
        np.floor(generator.random(count) * (most - side + 1)) for side, most in zip(sides, (height, width), strict=True)
    ]
    (h, w), (y, x) = ([torch.from_numpy(each).float() for each in pair] for pair in (sides, starts))
    applied = torch.from_numpy(generator.random(count) < probability)
    box = {"xs": x, "ys": y, "widths": w, "heights": h, "values": torch.zeros(count)}
    return _ERASE(images, params=_parameters(images, applied, **box))  # type: ignore[no-any-return]


def cutmix(images: Tensor, targets: Tensor, alpha: float, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Replace a rectangle of each image by that of another one, at the same place; mix targets by the areas.

    The rectangle has the share 1 - lambda of the area, lambda ~ Beta(alpha, alpha), and a uniformly drawn centre; it is
    clipped at the border.

    Args:
        images: Images (N, C, H, W).
        targets: Class probabilities (N, K).
        alpha: Parameter of the Beta distribution, above 0.
        generator: Source of all randomness.

    Returns:
        Images (N, C, H, W) and targets (N, K).

    Source: Yun et al., ICCV 2019, arXiv:1905.04899, sec. 3.2 and the authors' code (one rectangle per mini-batch).
    """
    height, width = images.shape[2:]
    share = np.sqrt(1 - generator.beta(alpha, alpha))
    limits = []
    for length in (height, width):
        side, middle = int(length * share), int(generator.integers(length))
        limits.append(slice(max(0, middle - side // 2), min(length, middle + side // 2)))
    other = torch.from_numpy(generator.permutation(len(images))).to(images.device, non_blocking=True)
    mixed = images.clone()
    mixed[:, :, limits[0], limits[1]] = images[other][:, :, limits[0], limits[1]]
    weight = 1 - mixed[0, 0, limits[0], limits[1]].numel() / (height * width)
    return mixed, weight * targets + (1 - weight) * targets[other]


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
    other = torch.from_numpy(generator.permutation(len(images))).to(images.device, non_blocking=True)
    return weight * images + (1 - weight) * images[other], weight * targets + (1 - weight) * targets[other]


def _parameters(images: Tensor, applied: Tensor, **more: Tensor) -> dict[str, Any]:
    return {"batch_prob": applied, "forward_input_shape": torch.tensor(images.shape), **more}
