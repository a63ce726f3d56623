"""Images of an experiment: all of them are read before anything is computed, and described."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch

from zenfront.pipeline import proxies
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training import data
from zenfront.pipeline.training._sources import DIGITS
from zenfront.pipeline.wording import number
from zenfront.spaces import Task

LISTED = 20
"""Classes up to which each one is listed."""


def check_data(experiment: Experiment) -> None:
    """Read the images of all parts, so that a mistake in them is found before the search.

    Raises:
        UserError: The data are missing, damaged, too few for the batch of a proxy, or not what the task says.
    """
    sizes = _part_sizes(experiment.train.data, experiment.task, experiment.search.seed)
    training, batch = sum(sizes[0]), experiment.search.batch
    if reads_images(experiment) and batch > training:
        raise UserError(f"search.batch must be at most the {training} training images, but got {batch}.")


def reads_images(experiment: Experiment) -> bool:
    """Return whether a score of the search is taken on real images."""
    loaded = (proxies.load(name, experiment.code) for name in experiment.score_names())
    return any(proxy.needs & {"images", "labels"} for proxy in loaded)


def are_local(settings: Data) -> bool:
    """Return whether the images are on this machine."""
    return settings.source == DIGITS or Path(settings.source).expanduser().exists()


def describe_data(experiment: Experiment) -> Iterator[str]:
    """Yield lines for the user: the number of images of each part, their shape, and the classes with their sizes.

    Raises:
        UserError: As `check_data`.
    """
    check_data(experiment)
    task, parts = experiment.task, ("training", "validation", "test")
    sizes = _part_sizes(experiment.train.data, task, experiment.search.seed)
    counts = [f"{number(sum(size))} {part}" for part, size in zip(parts, sizes, strict=True)]
    yield (
        f"{', '.join(counts)} images, {task.height} × {task.width} pixels, {task.channels} "
        f"channel{'' if task.channels == 1 else 's'}"
    )
    classes = [f"{label} ({' + '.join(map(number, each))})" for label, each in enumerate(zip(*sizes, strict=True))]
    shown = ", ".join(classes[:LISTED]) + (", ..." if len(classes) > LISTED else "")
    yield f"{len(classes)} classes, with their images ({' + '.join(parts)}): {shown}"


@lru_cache(maxsize=2)
def _part_sizes(settings: Data, task: Task, seed: int) -> tuple[tuple[int, ...], ...]:
    """Return the number of images of each class in the training, validation and test part; all are decoded once."""
    images = data.load(settings, task, seed)
    labels = (part.labels for part in (images.train, images.validation, images.test()))
    return tuple(tuple(torch.bincount(part, minlength=task.classes).tolist()) for part in labels)
