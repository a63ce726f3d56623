"""Brute-force tests of augmentation: results are those that the definition allows, with the right frequencies."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from zenfront.pipeline.experiment.train_config import Recipe
from zenfront.pipeline.training.augment import augment, crop, cutout, flip, mixup

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


@pytest.mark.parametrize(
    "change",
    [lambda x, g: crop(x, 1, g), flip, lambda x, g: cutout(x, 2, g)],
    ids=["crop", "flip", "cutout"],
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
    for change in ({"flip": True}, {"crop_padding": 1}, {"cutout": 2}):
        changed = augment(batch(64), Recipe.model_validate(change), np.random.default_rng(0))
        assert not torch.equal(changed, batch(64))
