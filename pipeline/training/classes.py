"""Sizes of the classes of a data set, and what an accuracy on them can say."""

from collections.abc import Iterator

import torch

from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.images._classes import SKEWED
from zenfront.pipeline.wording import number, percent

NAMED = 20
"""Classes up to which each one is named."""


def class_sizes(images: Images) -> list[int]:
    """Return the number of training and validation images of each class, (classes,)."""
    labels = torch.cat([images.train.labels, images.validation.labels])
    return [int(count) for count in torch.bincount(labels, minlength=images.classes)]


def chance_level(images: Images, metric: str) -> float:
    """Return what is reached without looking at the images, a fraction.

    The balanced accuracy of any guess is 1 / classes; the accuracy of always naming the largest class is its share.
    """
    sizes = class_sizes(images)
    return 1 / images.classes if metric == "balanced_accuracy" else max(sizes) / sum(sizes)


def images_behind(part: ImageSet, metric: str) -> float:
    """Return the number of images that the binomial error of a metric, sqrt(p (1 - p) / images), is computed with.

    For the accuracy it is the number n of all images. The mean over K classes with n_k images each, in all of which
    the share p is right, has the variance p (1 - p) / K^2 * sum_k 1 / n_k, so it is K^2 / sum_k 1 / n_k <= n.
    """
    if metric != "balanced_accuracy":
        return float(len(part))
    sizes = torch.bincount(part.labels).double()
    sizes = sizes[sizes > 0]
    return float(len(sizes) ** 2 / (1 / sizes).sum())


def describe_classes(images: Images, metric: str) -> Iterator[str]:
    """Yield lines for the user: the sizes of the classes and the chance level, and a warning if the sizes differ."""
    sizes = class_sizes(images)
    low, high = min(sizes), max(sizes)
    each = f"{number(low)} each" if low == high else f"{number(low)} to {number(high)} each"
    name = metric.replace("_", " ")
    chance = percent(chance_level(images, metric))
    named = f" ({', '.join(images.names)})" if 0 < len(images.names) <= NAMED else ""
    yield f"training: {number(sum(sizes))} images in {len(sizes)} classes{named}, {each}; a guess has {chance} {name}"
    if high > SKEWED * low:
        advice = ": the accuracy counts the large ones most, train.metric=balanced_accuracy counts all alike"
        yield (
            f"training: warning: class {_named(images, high)} has {number(high)} images, class {_named(images, low)} "
            f"has {number(low)}{advice if metric == 'accuracy' else ''}"
        )


def _named(images: Images, size: int) -> str:
    """Return the name of the first class of a size."""
    index = class_sizes(images).index(size)
    return images.names[index] if images.names else str(index)
