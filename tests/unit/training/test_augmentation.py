"""Brute-force tests of augmentation: results are those that the definition allows, with the right frequencies."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from zenfront.pipeline.experiment.recipe import RandAugment, Recipe
from zenfront.pipeline.training.augmentation.augment import augment, crop, cutmix, cutout, erase, flip, mix, mixup
from zenfront.pipeline.training.augmentation.recolour import colour_noise, jitter, recolour, trivial_augment

MANY = 4000


def batch(count: int = MANY) -> Tensor:
    """Many copies of one (2, 3, 5) image with 30 distinct positive pixels."""
    return torch.arange(1.0, 31.0).reshape(1, 2, 3, 5).repeat(count, 1, 1, 1)


def frequencies(images: Tensor) -> Counter[bytes]:
    return Counter(image.numpy().tobytes() for image in images)


def assert_uniform(found: Counter[bytes], allowed: list[Tensor]) -> None:
    """Assert that images occur as often as they are listed, within 6 standard deviations (false alarms < 1e-6)."""
    expected = frequencies(torch.stack(allowed))
    assert set(found) == set(expected)
    for image, share in expected.items():
        p = share / len(allowed)
        assert abs(found[image] - MANY * p) < 6 * np.sqrt(MANY * p * (1 - p))


def test_crops_are_the_windows_of_the_padded_image() -> None:
    padded = torch.nn.functional.pad(batch(1)[0], (2, 2, 2, 2))
    windows = [padded[:, y : y + 3, x : x + 5] for y in range(5) for x in range(5)]
    assert_uniform(frequencies(crop(batch(), 2, np.random.default_rng(0))), windows)


def test_half_of_the_images_are_mirrored() -> None:
    image = batch(1)[0]
    mirrored = torch.stack([row.flipud() for row in image.transpose(1, 2)]).transpose(1, 2)
    assert_uniform(frequencies(flip(batch(), np.random.default_rng(0))), [image, mirrored])


@pytest.mark.parametrize("side", [1, 2, 3])
def test_cutout_is_a_square_around_a_pixel(side: int) -> None:
    allowed = []
    for y in range(3):
        for x in range(5):
            image = batch(1)[0]
            top, left = y - side // 2, x - side // 2
            image[:, max(0, top) : top + side, max(0, left) : left + side] = 0
            allowed.append(image)
    assert_uniform(frequencies(cutout(batch(), side, np.random.default_rng(0))), allowed)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_mixes_images_and_targets_alike(alpha: float) -> None:
    generator = np.random.default_rng(0)
    weights = []
    for _ in range(1000):
        images, targets = mixup(torch.eye(6)[:, :, None, None], torch.eye(6), alpha, generator)
        assert torch.equal(images.flatten(1), targets)
        assert torch.allclose(targets.sum(0), torch.ones(6), atol=1e-6)  # every image is mixed in once
        assert torch.allclose(targets.sum(1), torch.ones(6), atol=1e-6)
        moved = targets.diagonal()[targets.diagonal() < 1]
        weights += moved[:1].tolist()
        assert torch.allclose(moved, moved[:1])  # one lambda
    # Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)); the fourth moment is at most the second over 4
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(np.mean(weights) - 0.5) < 6 * np.sqrt(variance / len(weights))
    assert abs(np.var(weights) - variance) < 6 * np.sqrt(variance / 4 / len(weights))


def test_an_erased_rectangle_has_the_shares_of_the_paper() -> None:
    erased = erase(torch.ones(3000, 1, 50, 80), 0.25, np.random.default_rng(0))[:, 0] == 0
    changed = erased.flatten(1).any(1)
    assert abs(changed.double().mean() - 0.25) < 6 * np.sqrt(0.25 * 0.75 / 3000)
    heights, widths = (erased.any(axis).sum(1)[changed].double() for axis in (2, 1))
    assert torch.equal(erased.flatten(1).sum(1)[changed].double(), heights * widths)  # a whole rectangle
    share = heights * widths / 4000
    assert 0.015 < share.min() < 0.04
    assert 0.35 < share.max() < 0.42
    assert (heights / widths).max() < 1.1 / 0.3


def test_cutmix_takes_a_rectangle_of_another_image_and_its_share_of_the_target() -> None:
    generator, shares = np.random.default_rng(0), []
    images = torch.arange(6.0)[:, None, None, None].expand(6, 1, 40, 30).clone()
    for _ in range(500):
        mixed, targets = cutmix(images, torch.eye(6), 1.0, generator)
        found = torch.stack([(mixed == number).flatten(1).double().mean(1) for number in range(6)], 1)
        assert torch.allclose(found, targets.double(), atol=1e-6)
        shares += [1 - value for value in targets.diagonal()[targets.diagonal() < 1].tolist()[:1]]
    # The mean of a uniform share is 1/2, and what the border clips makes it smaller.
    assert 0.25 < np.mean(shares) < 0.5
    assert torch.equal(images[:, 0, 0, 0], torch.arange(6.0))


def test_with_mixup_and_cutmix_half_of_the_mini_batches_have_each() -> None:
    recipe, generator = Recipe(mixup=1.0, cutmix=1.0), np.random.default_rng(0)
    images = torch.arange(4.0)[:, None, None, None].expand(4, 1, 9, 9)
    whole = sum(bool((mix(images, torch.eye(4), recipe, generator)[0] == images.long()).all()) for _ in range(400))
    kinds = [mix(images, torch.eye(4), recipe, generator)[0].frac().any().item() for _ in range(400)]
    assert abs(sum(kinds) - 200) < 6 * 10
    assert whole < 100


def grey(images: Tensor) -> Tensor:
    return images[:, :1].to(torch.uint8)


def coloured(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, 9, 7), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def test_colour_jitter_changes_brightness_contrast_and_saturation() -> None:
    grey = torch.full((500, 3, 4, 4), 100, dtype=torch.uint8)
    found = jitter(grey, 0.4, np.random.default_rng(0))
    assert torch.allclose(found, found[:, :1, :1, :1].expand_as(found), atol=1e-3)  # brightness alone can change it
    assert 60 <= found.min() < 61
    assert 139 < found.max() <= 140
    pixels = coloured(200)
    assert torch.allclose(jitter(pixels, 0.0, np.random.default_rng(0)), pixels.float(), atol=1e-3)
    assert jitter(pixels, 0.9, np.random.default_rng(0)).max() <= 255
    two = jitter(grey[:, :2], 0.4, np.random.default_rng(0))
    assert torch.allclose(two, found[:, :2], atol=1e-3)


def test_colour_noise_is_one_colour_along_the_components_of_imagenet() -> None:
    """Covariance of the colours: strength^2 V diag(eigenvalues^2) V^T, here with the numbers of pycls."""
    pixels = coloured(1).repeat(4000, 1, 1, 1)
    noise = colour_noise(pixels, 0.1, np.random.default_rng(0)) - pixels
    assert torch.allclose(noise, noise[:, :, :1, :1].expand_as(noise), atol=1e-4)
    found = np.cov(noise[:, :, 0, 0].double().numpy().T / 255)
    strongest = 0.1**2 * 0.2175**2
    red_red, red_blue = strongest * 0.5675**2, strongest * 0.5675 * 0.5836
    assert found[0, 0] == pytest.approx(red_red, rel=0.15)
    assert found[0, 2] == pytest.approx(red_blue, rel=0.15)
    assert torch.equal(colour_noise(pixels[:, :2], 0.1, np.random.default_rng(0)), pixels[:, :2])


def test_trivial_augment_takes_grey_images_and_leaves_others() -> None:
    pixels = coloured(60)
    grey = trivial_augment(pixels[:, :1], np.random.default_rng(0))
    assert grey.shape == (60, 1, 9, 7)
    assert not torch.equal(grey, pixels[:, :1])
    assert torch.equal(trivial_augment(pixels[:, :2], np.random.default_rng(0)), pixels[:, :2])


@pytest.mark.parametrize(
    "change",
    [
        lambda x, g: crop(x, 1, g),
        flip,
        lambda x, g: cutout(x, 2, g),
        lambda x, g: erase(x, 0.5, g),
        lambda x, g: recolour(x.to(torch.uint8), Recipe(trivial_augment=True, colour_jitter=0.4), g),
        lambda x, g: recolour(grey(x), Recipe(auto_augment="cifar10"), g),
        lambda x, g: recolour(grey(x), Recipe(rand_augment=RandAugment(form="timm", noise=0.5)), g),
        lambda x, g: recolour(x.repeat(1, 2, 1, 1)[:, :3], Recipe(colour_noise=0.1), g),
        lambda x, g: mix(x + torch.arange(64.0)[:, None, None, None], torch.eye(64), Recipe(cutmix=1.0), g)[0],
    ],
    ids=["crop", "flip", "cutout", "erase", "recolour", "auto", "rand", "noise", "cutmix"],
)
def test_the_generator_decides_and_nothing_else(change: Callable[[Tensor, np.random.Generator], Tensor]) -> None:
    before, state = batch(64), torch.get_rng_state()
    one, same, other = (change(before, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(before, batch(64))  # the mini-batch itself is left as it was
    assert torch.equal(torch.get_rng_state(), state)


def test_a_recipe_without_augmentation_changes_nothing() -> None:
    assert torch.equal(augment(batch(8), Recipe(), np.random.default_rng(0)), batch(8))


def test_a_recipe_enables_each_augmentation() -> None:
    for change in ({"flip": True}, {"crop_padding": 1}, {"cutout": 2}, {"random_erasing": 0.5}):
        changed = augment(batch(64), Recipe.model_validate(change), np.random.default_rng(0))
        assert not torch.equal(changed, batch(64))
