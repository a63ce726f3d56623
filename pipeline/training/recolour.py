"""Augmentation of pixels before they are normalised: TrivialAugment and colour jitter."""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from zenfront.pipeline.experiment.recipe import Recipe

STRENGTHS = 31
"""Strengths of an operation, from none to the strongest."""
GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance (ITU-R BT.601)."""


def recolour(pixels: Tensor, recipe: Recipe, generator: np.random.Generator) -> Tensor:
    """Apply TrivialAugment and colour jitter of the recipe.

    Args:
        pixels: (N, C, H, W) uint8.
        recipe: Recipe that selects them.
        generator: Source of all randomness.

    Returns:
        Pixels (N, C, H, W), uint8 or float32, in 0 .. 255.
    """
    if recipe.trivial_augment:
        pixels = trivial_augment(pixels, generator)
    return jitter(pixels, recipe.colour_jitter, generator) if recipe.colour_jitter else pixels


def jitter(pixels: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """Change brightness, then contrast, then saturation, each by a factor in [1 - strength, 1 + strength] per image.

    Args:
        pixels: (N, C, H, W) uint8; images with another number of channels than 3 have no saturation.
        strength: Range of the factors, 0 .. 1.
        generator: Source of all randomness.

    Returns:
        Pixels (N, C, H, W), float32, in 0 .. 255.
    """
    factors = torch.from_numpy(generator.uniform(1 - strength, 1 + strength, (3, len(pixels)))).float()
    brightness, contrast, saturation = factors.to(pixels.device)[..., None, None, None]
    bright = (pixels * brightness).clamp(0, 255)
    mean = _grey(bright).mean((2, 3), keepdim=True)
    contrasted: Tensor = (mean + contrast * (bright - mean)).clamp(0, 255)
    if pixels.shape[1] != 3:
        return contrasted
    grey = _grey(contrasted)
    saturated: Tensor = (grey + saturation * (contrasted - grey)).clamp(0, 255)
    return saturated


def _grey(pixels: Tensor) -> Tensor:
    if pixels.shape[1] != 3:
        return pixels.mean(1, keepdim=True)
    weights = torch.tensor(GREY, device=pixels.device)[:, None, None]
    return (pixels * weights).sum(1, keepdim=True)


def trivial_augment(pixels: Tensor, generator: np.random.Generator) -> Tensor:
    """Apply one of `OPERATIONS` to each image, drawn uniformly with one of 31 strengths and a sign.

    Args:
        pixels: (N, C, H, W) uint8 with 1 or 3 channels. Other images are returned as they are.
        generator: Source of all randomness.

    Returns:
        Pixels (N, C, H, W) uint8; what is moved in from outside is black.

    Source: Müller, Hutter, ICCV 2021, arXiv:2103.10158, sec. 3 and table 1, wide space.
    """
    kinds = generator.integers(len(OPERATIONS), size=len(pixels))
    strengths = generator.integers(STRENGTHS, size=len(pixels)) / (STRENGTHS - 1)
    signs = np.where(generator.random(len(pixels)) < 0.5, -1.0, 1.0)
    if pixels.shape[1] not in (1, 3):
        return pixels
    changed = np.ascontiguousarray(pixels.cpu().numpy().transpose(0, 2, 3, 1))
    for image, kind, strength, sign in zip(changed, kinds, strengths, signs, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        image[:] = np.asarray(OPERATIONS[kind](picture, strength, sign)).reshape(image.shape)
    return torch.from_numpy(np.ascontiguousarray(changed.transpose(0, 3, 1, 2))).to(pixels.device)


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


Operation = Callable[[Image.Image, float, float], Image.Image]
OPERATIONS: tuple[Operation, ...] = (
    lambda image, strength, sign: image,
    lambda image, strength, sign: ImageOps.autocontrast(image),
    lambda image, strength, sign: ImageOps.equalize(image),
    lambda image, strength, sign: image.rotate(sign * 135 * strength),
    lambda image, strength, sign: ImageOps.solarize(image, round(256 * (1 - strength))),
    lambda image, strength, sign: ImageOps.posterize(image, round(8 - 6 * strength)),
    lambda image, strength, sign: ImageEnhance.Color(image).enhance(1 + sign * 0.99 * strength),
    lambda image, strength, sign: ImageEnhance.Contrast(image).enhance(1 + sign * 0.99 * strength),
    lambda image, strength, sign: ImageEnhance.Brightness(image).enhance(1 + sign * 0.99 * strength),
    lambda image, strength, sign: ImageEnhance.Sharpness(image).enhance(1 + sign * 0.99 * strength),
    lambda image, strength, sign: _affine(image, 1, sign * 0.99 * strength, 0, 0, 1, 0),
    lambda image, strength, sign: _affine(image, 1, 0, 0, sign * 0.99 * strength, 1, 0),
    lambda image, strength, sign: _affine(image, 1, 0, sign * 32 * strength, 0, 1, 0),
    lambda image, strength, sign: _affine(image, 1, 0, 0, 0, 1, sign * 32 * strength),
)
"""Functions of an image, a strength from 0 to 1 and a sign; at 0 all but the second and third change nothing."""
