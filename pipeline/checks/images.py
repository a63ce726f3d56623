"""Images of an experiment: all of them are looked at before anything is computed, and described."""

from collections.abc import Iterator
from pathlib import Path

from zenfront.pipeline import proxies
from zenfront.pipeline.checks.devices import check_devices
from zenfront.pipeline.checks.own_training import require_function
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.results.overview import Overview
from zenfront.pipeline.stages.supernet.plan import score_plan
from zenfront.pipeline.training import data
from zenfront.pipeline.training.images.look import look
from zenfront.pipeline.training.images.source import DIGITS
from zenfront.pipeline.wording import number
from zenfront.spaces import Task

NOISE = "the task has outputs, so scores that look at images are taken on a mini-batch of noise"
_SEEN: dict[tuple[Data, Task], Overview] = {}


def check_data(experiment: Experiment) -> Overview | None:
    """Look at the images of all parts, and decode those of the training, so that a mistake is found before the search.

    Returns:
        What the data hold; None if a training function loads its own, and no score looks at images.

    Raises:
        UserError: The data are missing, damaged, too few for the batch of a proxy or for the devices, or not what the
            task says; a task with outputs has no training function.
    """
    require_function(experiment)
    if experiment.train.function and not reads_images(experiment):
        return None
    settings, task = experiment.train.data, experiment.task
    found = _overview(settings, task)
    training, batch = len(data.load(settings, task, experiment.search.seed).train), experiment.search.batch
    if reads_images(experiment) and batch > training:
        raise UserError(f"search.batch must be at most the {training} training images, but got {batch}.")
    check_devices(experiment, training)
    if any(proxies.load(name, experiment.code).of_supernet for name in experiment.score_names()):
        score_plan(experiment).check(data.load(settings, task, experiment.search.seed))
    return found


def read_task(settings: Data) -> Task:
    """Return the task of the data, for ``task: auto``.

    Raises:
        UserError: As `look`.
    """
    found = look(settings, None)
    _SEEN[settings, found.task] = found
    return found.task


def remarks(experiment: Experiment) -> Iterator[str]:
    """Yield what is to be known of the images that scores are taken on, and what training would refuse."""
    if experiment.task.classes is None and looks_at_images(experiment):
        yield NOISE
    if not reads_images(experiment) or not are_local(experiment.train.data):
        return
    try:
        yield from _overview(experiment.train.data, experiment.task).notes
    except UserError as error:
        yield f"training will need this, scores do not: {error}"


def reads_images(experiment: Experiment) -> bool:
    """Return whether a score of the search is taken on real images, which a task with outputs does not have."""
    return experiment.task.classes is not None and looks_at_images(experiment)


def looks_at_images(experiment: Experiment) -> bool:
    """Return whether a score of the search depends on what is on the images."""
    loaded = (proxies.load(name, experiment.code) for name in experiment.score_names())
    return any(proxy.needs & {"images", "labels"} for proxy in loaded)


def are_local(settings: Data) -> bool:
    """Return whether the images are on this machine."""
    return settings.source == DIGITS or Path(settings.source).expanduser().exists()


def describe_data(experiment: Experiment) -> Iterator[str]:
    """Yield lines for the user: the images of each part, their sizes and modes, the classes, and what is to be known.

    Raises:
        UserError: As `check_data`.
    """
    if (found := check_data(experiment)) is None:
        yield "the training function loads its own data"
        return
    yield from describe(found)


def describe(found: Overview) -> Iterator[str]:
    """Yield lines for the user about what data hold."""
    task, roles = found.task, " + ".join(part.role for part in found.parts)
    yield (
        f"{', '.join(f'{number(part.images)} {part.role}' for part in found.parts)} images, read as {task.height} × "
        f"{task.width} pixels, {task.channels} channel{'' if task.channels == 1 else 's'}"
    )
    yield f"sizes: {_listed(found.sizes)}; modes: {_listed(found.modes)}"
    yield f"{len(found.classes)} classes, with their images ({roles}): {found.listed()}"
    yield from found.notes


def _listed(counts: dict[str, int]) -> str:
    """Return the most frequent values with their counts."""
    shown = [f"{value} ({number(count)})" for value, count in list(counts.items())[:5]]
    return ", ".join([*shown, *([f"{len(counts) - 5} more"] if len(counts) > 5 else [])])


def _overview(settings: Data, task: Task) -> Overview:
    """Look at the data, once per process."""
    if (settings, task) not in _SEEN:
        _SEEN[settings, task] = look(settings, task)
    return _SEEN[settings, task]
