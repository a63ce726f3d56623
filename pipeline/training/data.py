"""Images of an experiment: decoded once, split by seed; test images are read only on request."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.training._sources import DIGITS, Encoded, read
from zenfront.pipeline.training._split import stratified
from zenfront.spaces import Task


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
    """

    train: ImageSet
    validation: ImageSet
    mean: Tensor
    std: Tensor
    test: Callable[[], ImageSet]
    classes: int

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
    data = _resolve(data)
    source = read(data, task, "train")
    every = np.arange(len(source.labels))
    if data.limit is not None and data.limit < len(every):
        every, _ = stratified(source.labels, data.limit, numpy_generator(seed, "data", "limit"))
    held_out = max(1, round(data.validation * len(every)))
    if len(every) - held_out < 2:  # batch normalisation cannot learn from one image
        raise UserError(
            f"train.data: at least 2 images must be left to train on, but of {len(every)} images "
            f"{held_out} are held out (limit={data.limit}, validation={data.validation})."
        )
    validation, train = stratified(source.labels[every], held_out, numpy_generator(seed, "data", "validation"))
    part = _decode(source, every[train])
    mean, std = _compute_moments(part.images)
    return Images(part, _decode(source, every[validation]), mean, std, partial(_read_test, data, task), task.classes)


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


def _resolve(data: Data) -> Data:
    """Return the data with an absolute path: a process in another folder may read the test data."""
    folder = Path(data.source).expanduser()
    local = data.source != DIGITS and folder.is_dir()
    return data.model_copy(update={"source": str(folder.resolve())}) if local else data


def _read_test(data: Data, task: Task) -> ImageSet:
    source = read(data, task, "test")
    return _decode(source, np.arange(len(source.labels)))


def _decode(source: Encoded, indices: np.ndarray) -> ImageSet:
    return ImageSet(torch.from_numpy(source.decode(indices)), torch.from_numpy(source.labels[indices]))


def _compute_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation per channel, computed from the histogram: exact, and without a copy in float64."""
    values = torch.arange(256, dtype=torch.float64)
    share = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(1)]).double()
    share /= share.sum(1, keepdim=True)
    mean = share @ values
    std = (share @ values**2 - mean**2).clamp(min=0).sqrt()
    return mean.float(), torch.where(std > 0, std, 1).float()
