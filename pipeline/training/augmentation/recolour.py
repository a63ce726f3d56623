"""Augmentation of pixels before they are normalised: policies of operations, and noise of the colours."""

import numpy as np
import torch
from torch import Tensor

from zenfront.pipeline.experiment.recipe import AutoAugment, RandAugment, Recipe
from zenfront.pipeline.training.augmentation.operations import Change, change_each
from zenfront.pipeline.training.augmentation.policies import AUTO_AUGMENT, INCREASING, LEARNED, RANDOM, WIDE

STRENGTHS = 31
"""Strengths of an operation in TrivialAugment, from none to the strongest."""
MIDDLE = 128
"""Grey value that AutoAugment and RandAugment move in from outside."""
GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance (ITU-R BT.601)."""
COMPONENTS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
"""Principal components of the colours of ImageNet, in columns, for red, green and blue."""
VARIANCES = (0.2175, 0.0188, 0.0045)
"""Eigenvalues of the components, for colours from 0 to 1."""


def recolour(pixels: Tensor, recipe: Recipe, generator: np.random.Generator) -> Tensor:
    """Apply the policy of operations, the colour jitter and the colour noise of the recipe.

    Args:
        pixels: (N, C, H, W) uint8.
        recipe: Recipe that selects them.
        generator: Source of all randomness.

    Returns:
        Pixels (N, C, H, W), uint8 in 0 .. 255, or float32, with noise also beyond.
    """
    if recipe.trivial_augment:
        pixels = trivial_augment(pixels, generator)
    if recipe.auto_augment:
        pixels = auto_augment(pixels, recipe.auto_augment, generator)
    if recipe.rand_augment:
        pixels = rand_augment(pixels, recipe.rand_augment, generator)
    if recipe.colour_jitter:
        pixels = jitter(pixels, recipe.colour_jitter, generator)
    return colour_noise(pixels, recipe.colour_noise, generator) if recipe.colour_noise else pixels


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


def colour_noise(pixels: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """Add one colour to all pixels of an image: principal components of the colours of ImageNet, of random amounts.

    The amounts are normal with mean 0 and the standard deviation strength * eigenvalue, for colours from 0 to 1.

    Args:
        pixels: (N, C, H, W) in 0 .. 255. Images with another number of channels than 3 are returned as they are.
        strength: Standard deviation in multiples of the eigenvalues; 0.1 is usual.
        generator: Source of all randomness.

    Returns:
        Pixels (N, C, H, W), float32.

    Source: Krizhevsky et al., NeurIPS 2012, sec. 4.1; the components are those of pycls (core/transforms.py).
    """
    amounts = generator.normal(0.0, strength, (3, len(pixels))).T * VARIANCES
    if pixels.shape[1] != 3:
        return pixels
    colours = torch.from_numpy(255 * amounts @ np.transpose(COMPONENTS)).float().to(pixels.device)
    return pixels + colours[..., None, None]


def trivial_augment(pixels: Tensor, generator: np.random.Generator) -> Tensor:
    """Apply one operation of `WIDE` to each image, drawn uniformly with one of 31 strengths and a sign.

    Args:
        pixels: (N, C, H, W) uint8 with 1 or 3 channels. Other images are returned as they are.
        generator: Source of all randomness.

    Returns:
        Pixels (N, C, H, W) uint8; what is moved in from outside is black.

    Source: Müller, Hutter, ICCV 2021, arXiv:2103.10158, sec. 3 and table 1, wide space.
    """
    names = list(WIDE)
    kinds = generator.integers(len(names), size=len(pixels))
    strengths = generator.integers(STRENGTHS, size=len(pixels)) / (STRENGTHS - 1)
    signs = _signs(len(pixels), generator)
    drawn = [
        [(names[kind], WIDE[names[kind]](strength, sign))]
        for kind, strength, sign in zip(kinds, strengths, signs, strict=True)
    ]
    return change_each(pixels, drawn, fill=0)


def auto_augment(pixels: Tensor, policy: AutoAugment, generator: np.random.Generator) -> Tensor:
    """Apply one of the 25 pairs of operations of a policy to each image, drawn uniformly.

    Args:
        pixels: (N, C, H, W) uint8 with 1 or 3 channels. Other images are returned as they are.
        policy: Data set that the policy was found for.
        generator: Source of all randomness.

    Returns:
        Pixels (N, C, H, W) uint8; what is moved in from outside is grey.

    Source: Cubuk et al., CVPR 2019, arXiv:1805.09501; as in torchvision, with a random sign of each operation and
    pixels taken from the nearest one.
    """
    pairs = AUTO_AUGMENT[policy]
    chosen = generator.integers(len(pairs), size=len(pixels))
    chances = generator.random((2, len(pixels))).T
    signs = _signs((2, len(pixels)), generator).T
    drawn: list[list[Change]] = [
        [
            (name, LEARNED[name](strength / 9, sign))
            for (name, probability, strength), chance, sign in zip(pairs[pair], *row, strict=True)
            if chance < probability
        ]
        for pair, *row in zip(chosen, chances, signs, strict=True)
    ]
    return change_each(pixels, drawn, MIDDLE)


def rand_augment(pixels: Tensor, form: RandAugment, generator: np.random.Generator) -> Tensor:
    """Apply a number of operations to each image, drawn uniformly, at one strength.

    Args:
        pixels: (N, C, H, W) uint8 with 1 or 3 channels. Other images are returned as they are.
        form: Number of operations, strength and form.
        generator: Source of all randomness.

    Returns:
        Pixels (N, C, H, W) uint8; what is moved in from outside is grey.

    Source: Cubuk et al., 2019, arXiv:1909.13719, and for the form of timm, which applies each operation with
    probability 1/2, timm 1.0, data/auto_augment.py; deviation: pixels are taken from the nearest one.
    """
    table, probability = (INCREASING, 0.5) if form.form == "timm" else (RANDOM, 1.0)
    names, shape = list(table), (form.operations, len(pixels))
    kinds = generator.integers(len(names), size=shape)
    applied = generator.random(shape) < probability
    strengths = np.clip(generator.normal(form.magnitude, form.noise, shape) / form.strongest, 0, 1)
    signs = _signs(shape, generator)
    drawn = [
        [(names[kind], table[names[kind]](strength, sign)) for kind, on, strength, sign in zip(*row, strict=True) if on]
        for row in zip(kinds.T, applied.T, strengths.T, signs.T, strict=True)
    ]
    return change_each(pixels, drawn, MIDDLE)


def _signs(shape: int | tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    return np.where(generator.random(shape) < 0.5, -1.0, 1.0)
