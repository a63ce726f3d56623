"""Images of an experiment: decoded once, into memory or a store, and split by seed; the test images only on request."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.training.images._classes import Classes, check_classes
from zenfront.pipeline.training.images.decoding.form import Form
from zenfront.pipeline.training.images.reading.rows import Rows
from zenfront.pipeline.training.images.source import (
    Labelled,
    read_part,
    read_test,
    read_train,
    resolved,
    validation_part,
)
from zenfront.pipeline.training.images.split import stratified
from zenfront.pipeline.training.store.encoded_images import EncodedImages
from zenfront.pipeline.training.store.keeping import Keeping, Pixels
from zenfront.pipeline.training.store.stored_images import StoredImages, as_decoded, histogram, parts_of
from zenfront.spaces import Task

VALIDATION = 0.1
"""Fraction of the training data that is held out where nothing else is said and the data have no validation part."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images.

    Pickled, images in memory are an array, which processes of one machine share if Ray hands it on.

    Attributes:
        pixels: (N, C, H, W) uint8, in memory or in a store.
        labels: (N,) int64.
    """

    pixels: Pixels
    labels: Tensor

    @property
    def images(self) -> Tensor:
        """All images as a tensor; those of a store are read."""
        return self.pixels if isinstance(self.pixels, Tensor) else self.pixels[:]

    def __len__(self) -> int:
        return len(self.labels)

    def __reduce__(self) -> tuple[Callable[..., "ImageSet"], tuple[object, np.ndarray]]:
        pixels = self.pixels.cpu().numpy() if isinstance(self.pixels, Tensor) else self.pixels
        return _shared, (pixels, self.labels.cpu().numpy())

    def to(self, device: torch.device) -> "ImageSet":
        """Return the same images on a device; those of a store stay there, and their mini-batches are copied."""
        pixels = self.pixels.to(device) if isinstance(self.pixels, Tensor) else self.pixels
        return ImageSet(pixels, self.labels.to(device))

    @property
    def is_cut_at_random(self) -> bool:
        """Whether `batches` with a key cuts another part out of each image."""
        return isinstance(self.pixels, EncodedImages)

    def batches(self, order: Tensor, size: int, key: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images (n, C, H, W) uint8 and labels (n,) in an order, `size` at a time, on the device of the labels.

        Args:
            order: Indices (N,) of the images, on the device of the labels.
            size: Number of images; the last ones can be fewer.
            key: Source of the randomness of images that are cut at random; None: they are cut in the middle.

        Raises:
            UserError: The images are not on this machine and cannot be written to it.
        """
        if isinstance(self.pixels, Tensor):
            for rows in parts_of(order, size):
                yield self.pixels[rows], self.labels[rows]
            return
        device = self.labels.device
        with closing(self.pixels.batches(order.cpu(), size, key, pinned=device.type == "cuda")) as read:
            for rows, pixels in zip(parts_of(order, size), read, strict=True):
                yield pixels.to(device, non_blocking=True), self.labels[rows]


def _shared(pixels: np.ndarray | StoredImages, labels: np.ndarray) -> ImageSet:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an array in shared memory is not writable, and nothing writes to it
        pixels_ = as_decoded(pixels) if isinstance(pixels, np.ndarray) else pixels
        return ImageSet(pixels_, torch.from_numpy(labels))


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
        mean, std = (value.to(images.device, non_blocking=True)[:, None, None] for value in (self.mean, self.std))
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
    apart = read_part(data, "validation", source.classes) if validation_part(data) else None
    train, validation = (every, np.arange(len(apart.labels))) if apart else _split(source, every, data, seed)
    if len(train) < 2 or not len(validation):  # batch normalisation cannot learn from one image
        raise UserError(
            f"train.data: at least 2 images must be left to train on, and one must be held out, but of {len(every)} "
            f"images {len(train)} are left and {len(validation)} held out (limit={data.limit}, "
            f"validation={data.validation}). Each class is kept among both as far as it has images: add images."
        )
    keeping = Keeping.of(data, form, len(every) + (len(apart.labels) if apart else 0))
    kept = keeping.keep("train", source.rows.take(every), partial(_read_every, data, seed))
    pixels = kept(np.searchsorted(every, train))
    part = ImageSet(pixels, torch.from_numpy(source.labels[train]))
    if apart:
        read = partial(_read_rows, data, "validation", source.classes)
        held_out = ImageSet(keeping.keep("validation", apart.rows, read)(validation), torch.from_numpy(apart.labels))
    else:
        held_out = ImageSet(kept(np.searchsorted(every, validation)), torch.from_numpy(source.labels[validation]))
    mean, std = _moments(histogram(pixels) if isinstance(pixels, Tensor) else pixels.histogram())
    test = partial(_read_test, data, keeping, source.classes)
    return Images(part, held_out, mean, std, test, task.out_features, source.classes.names)


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
    return images.normalise(images.train.pixels[chosen]), images.train.labels[chosen]


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


def _read_every(data: Data, seed: int) -> Rows:
    """Return the images that are trained on or held out of the training."""
    source = read_train(data)
    return source.rows.take(_limited(source, data, seed))


def _read_rows(data: Data, role: Literal["validation", "test"], classes: Classes) -> Rows:
    return (read_test(data, classes) if role == "test" else read_part(data, role, classes)).rows


def _read_test(data: Data, keeping: Keeping, classes: Classes) -> ImageSet:
    source = read_test(data, classes)
    kept = keeping.keep("test", source.rows, partial(_read_rows, data, "test", classes))
    return ImageSet(kept(np.arange(len(source.labels))), torch.from_numpy(source.labels))


def _moments(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation per channel from the histogram (C, 256): exact, and without a copy in float64."""
    values = torch.arange(256, dtype=torch.float64)
    share = counts.double()
    share /= share.sum(1, keepdim=True)
    mean = share @ values
    std = (share @ values**2 - mean**2).clamp(min=0).sqrt()
    return mean.float(), torch.where(std > 0, std, 1).float()
