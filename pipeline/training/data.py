"""Images of an experiment: decoded once, split by seed; test images are read only on request."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.training.images._classes import Classes, check_classes
from zenfront.pipeline.training.images._form import Form
from zenfront.pipeline.training.images.source import (
    Labelled,
    decode_rows,
    read_part,
    read_test,
    read_train,
    resolved,
    validation_part,
)
from zenfront.pipeline.training.images.split import stratified
from zenfront.spaces import Task

VALIDATION = 0.1
"""Fraction of the training data that is held out where nothing else is said and the data have no validation part."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "ImageSet":
        """Return the same images on a device."""
        return ImageSet(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class Images:
    """All data of an experiment; can be pickled.

    Attributes:
        train: Training images.
        validation: Images held out of the training data, for the decisions of the scheduler.
        mean: (C,) float32 mean of the training images, in units of the pixel values.
        std: (C,) float32 standard deviation of the training images, in the same units; 1 for a constant channel.
        test: Function that reads and decodes the test images, called once at the end of training.
        classes: Number of classes.
        names: Their names, in the order of the labels; empty if they are not known.
    """

    train: ImageSet
    validation: ImageSet
    mean: Tensor
    std: Tensor
    test: Callable[[], ImageSet]
    classes: int
    names: tuple[str, ...] = ()

    def normalise(self, images: Tensor) -> Tensor:
        """Convert (N, C, H, W) uint8 to float32 with mean 0 and deviation 1 per channel over the training images."""
        mean, std = (value.to(images.device)[:, None, None] for value in (self.mean, self.std))
        return (images - mean) / std


@lru_cache(maxsize=2)  # decoding CIFAR-10 takes seconds, and a worker trains and scores many networks on the same data
def load(data: Data, task: Task, seed: int) -> Images:
    """Load the data of an experiment, once per process.

    The seed draws `data.limit` images from the training data and then the validation images from those, each class
    in proportion. scikit-learn's digits have no test data: a fixed fifth is held out, whatever the seed.

    Args:
        data: Source of the images, and how they are split. The classes of an image folder are its sorted sub-folders.
        task: Shape and classes that the images must have.
        seed: Seed of the search.

    Raises:
        UserError: The data are missing, damaged, too few, or do not fit the task.
    """
    data = resolved(data)
    source, form = read_train(data), Form.of(data, task)
    check_classes(source.classes, source.rows, task.out_features)
    every = _limited(source, data, seed)
    if validation_part(data):
        held_out = read_part(data, "validation", source.classes)
        train, validation = every, np.arange(len(held_out.labels))
    else:
        held_out = source
        train, validation = _split(source, every, data, seed)
    if len(train) < 2 or not len(validation):  # batch normalisation cannot learn from one image
        raise UserError(
            f"train.data: at least 2 images must be left to train on, and one must be held out, but of {len(every)} "
            f"images {len(train)} are left and {len(validation)} held out (limit={data.limit}, "
            f"validation={data.validation}). Each class is kept among both as far as it has images: add images."
        )
    part = _decode(source, train, form)
    mean, std = _compute_moments(part.images)
    test = partial(_read_test, data, form, source.classes)
    return Images(part, _decode(held_out, validation, form), mean, std, test, task.out_features, source.classes.names)


def proxy_batch(images: Images, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw a mini-batch for the proxies from the training images, without repetition.

    Args:
        images: Data of the experiment.
        size: Number of images N.
        seed: Seed of the search; another seed draws other images.

    Returns:
        Normalised images (N, C, H, W) float32 and labels (N,) int64.

    Raises:
        UserError: There are fewer training images.
    """
    if size > len(images.train):
        raise UserError(f"search.batch must be at most the {len(images.train)} training images, but got {size}.")
    chosen = torch.randperm(len(images.train), generator=torch_generator(seed, "data", "proxy batch"))[:size]
    return images.normalise(images.train.images[chosen]), images.train.labels[chosen]


def _limited(source: Labelled, data: Data, seed: int) -> np.ndarray:
    """Return the training images to use, at least one of each class."""
    everything = np.arange(len(source.labels))
    if data.limit is None or data.limit >= len(everything):
        return everything
    if data.limit < len(source.classes):
        raise UserError(
            f"train.data.limit: there must be an image of each of the {len(source.classes)} classes, "
            f"but got {data.limit}."
        )
    generator = numpy_generator(seed, "data", "limit")
    return stratified(source.labels, data.limit, generator, draw_each=data.rules > 1)[0]


def _split(source: Labelled, every: np.ndarray, data: Data, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the images to train on, and those that are held out: at least one of each class that has two."""
    fraction = data.validation if isinstance(data.validation, float) else VALIDATION
    count = max(1, round(fraction * len(every)))
    generator, covers = numpy_generator(seed, "data", "validation"), data.rules > 1
    drawn, others = stratified(source.labels[every], count, generator, draw_each=covers, leave_each=covers)
    return every[others], every[drawn]


def _read_test(data: Data, form: Form, classes: Classes) -> ImageSet:
    source = read_test(data, classes)
    return _decode(source, np.arange(len(source.labels)), form)


def _decode(source: Labelled, indices: np.ndarray, form: Form) -> ImageSet:
    pixels = decode_rows(source.rows, indices, form)
    return ImageSet(torch.from_numpy(pixels), torch.from_numpy(source.labels[indices]))


def _compute_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation per channel, computed from the histogram: exact, and without a copy in float64."""
    values = torch.arange(256, dtype=torch.float64)
    share = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(1)]).double()
    share /= share.sum(1, keepdim=True)
    mean = share @ values
    std = (share @ values**2 - mean**2).clamp(min=0).sqrt()
    return mean.float(), torch.where(std > 0, std, 1).float()
