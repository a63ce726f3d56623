"""Sizes of classes, chance level and the noise of a metric on classes of different size."""

import math

import pytest
import torch
from torch import nn

from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training.classes import chance_level, describe_classes, images_behind
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.loop import evaluate


def image_set(*sizes: int) -> ImageSet:
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    return ImageSet(labels[:, None, None, None].to(torch.uint8), labels)


def images_of(train: tuple[int, ...], validation: tuple[int, ...]) -> Images:
    one = torch.ones(1)
    return Images(image_set(*train), image_set(*validation), 0 * one, one, lambda: image_set(1), len(train))


EVEN, SKEWED = images_of((40, 40), (10, 10)), images_of((80, 9, 9), (10, 1, 1))


def test_a_guess_names_the_largest_class_or_any_if_classes_count_the_same() -> None:
    assert chance_level(EVEN, "accuracy") == chance_level(EVEN, "balanced_accuracy") == 0.5
    assert chance_level(SKEWED, "accuracy") == pytest.approx(90 / 110)
    assert chance_level(SKEWED, "balanced_accuracy") == pytest.approx(1 / 3)


def test_the_sizes_are_said_and_a_large_difference_is_a_warning() -> None:
    assert list(describe_classes(EVEN, "accuracy")) == [
        "training: 100 images in 2 classes, 50 each; a guess has 50.0 % accuracy"
    ]
    sizes, warning = describe_classes(SKEWED, "accuracy")
    assert sizes == "training: 110 images in 3 classes, 10 to 90 each; a guess has 81.8 % accuracy"
    assert warning.startswith("training: warning: class 0 has 90 images, class 1 has 10: ")
    assert "train.metric=balanced_accuracy" in warning
    assert "train.metric" not in "".join(describe_classes(SKEWED, "balanced_accuracy"))
    assert len(list(describe_classes(images_of((40, 8), (10, 2)), "accuracy"))) == 1  # five times is not over five


def test_the_images_behind_a_balanced_accuracy_give_its_binomial_error() -> None:
    """Compared with the variance over many draws in which every image is right with the same probability."""
    part, right = image_set(400, 25), 0.8
    assert images_behind(part, "accuracy") == 425
    behind = images_behind(part, "balanced_accuracy")
    assert behind == pytest.approx(4 / (1 / 400 + 1 / 25))
    rng = numpy_generator(0, "draws")
    means = (rng.binomial(400, right, 20_000) / 400 + rng.binomial(25, right, 20_000) / 25) / 2
    assert math.sqrt(right * (1 - right) / behind) == pytest.approx(means.std(), rel=0.02)
    assert images_behind(image_set(7, 7), "balanced_accuracy") == pytest.approx(14)


class Says(nn.Module):
    """Names the class of its bias, whatever the image."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor([1.0, 0.0, 0.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.bias.expand(len(images), -1)


def test_balanced_accuracy_is_the_mean_over_the_classes_that_occur() -> None:
    quality = evaluate(Says(), image_set(900, 100), SKEWED)
    assert quality.accuracy == 0.9
    assert quality.balanced_accuracy == 0.5
    assert evaluate(Says(), image_set(8, 1, 1), SKEWED).balanced_accuracy == pytest.approx(1 / 3)
