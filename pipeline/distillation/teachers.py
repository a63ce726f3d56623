"""The teacher that an experiment names: a network of timm or of the hub, a .pt2 file, or a network of a run."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from zenfront.pipeline.distillation.program import BYTE, Source, to_program
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.train_config import Distillation
from zenfront.pipeline.export.from_run import run_subject
from zenfront.pipeline.export.prediction.formats import Stated, packed_description
from zenfront.pipeline.export.quiet import first_line, quiet
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.training.teacher import Teacher
from zenfront.pipeline.user_code import is_allowed, require_allowed
from zenfront.spaces import Task

TIMM, HUB, PT2 = "timm:", "hub:", ".pt2"
FORMS = "timm:NAME, hub:OWNER/NAME, a .pt2 file, or RUN or RUN/NETWORK of a run of your own"
_opened: dict[tuple[Any, ...], tuple[Teacher, tuple[str, ...]]] = {}


def open_teacher(experiment: Experiment, runs: Path, classes: Sequence[str] = ()) -> Teacher | None:
    """Return the teacher of an experiment, or None if it has none; each is opened once per process.

    Args:
        experiment: The experiment.
        runs: Folder of the runs.
        classes: Names of the classes of the data, in the order of the logits; empty if they are not known.

    Raises:
        UserError: The teacher is not there, is damaged, needs an extra or code that is not allowed, or does not fit the
            task.
    """
    settings, task = experiment.train.distillation, experiment.task
    if settings is None:
        return None
    key = (settings, task, runs)
    try:
        require_allowed(experiment.teacher_code)
        if key not in _opened:
            _opened.clear()
            source = find(settings, task, runs)
            program, digest = to_program(source, task)
            _opened[key] = Teacher(program, digest, settings.weight, settings.temperature), source.classes
        teacher, names = _opened[key]
        if names and classes and list(names) != list(classes):
            raise UserError(
                f"its classes are {', '.join(names[:10])}, but those of the data {', '.join(classes[:10])}: logits are "
                "compared by their place."
            )
    except UserError as error:
        raise UserError(f"train.distillation.teacher: {settings.teacher}: {error}") from error
    return teacher


def find(settings: Distillation, task: Task, runs: Path) -> Source:
    """Return the network that the settings name.

    Raises:
        UserError: It is not there, or cannot be read.
    """
    name = settings.teacher
    if name.startswith(TIMM):
        return _of_timm(name.removeprefix(TIMM))
    if name.startswith(HUB):
        return _of_timm(f"hf-hub:{name.removeprefix(HUB)}")
    if name.endswith(PT2):
        return _of_pt2(Path(name).expanduser(), settings, task)
    return _of_run(name, runs)


def _of_timm(name: str) -> Source:
    if find_spec("timm") is None:
        raise UserError("timm is not installed: install the extra `timm` with pip install 'zenfront[timm]'.")
    timm = import_module("timm")
    known = name.startswith("hf-hub:") or timm.is_model_pretrained(name)
    if not known:
        raise UserError("timm has no network of this name with weights. `timm.list_pretrained()` lists those it has.")
    try:
        with quiet():
            network = timm.create_model(name, pretrained=True).eval()
            config = timm.data.resolve_model_data_config(network)
    except Exception as error:  # of the network, of the hub, of a damaged file
        raise UserError(
            f"timm cannot load it: {first_line(error)}. Its weights must be in the cache of the hub, or the hub within "
            "reach of this machine."
        ) from error
    mean, std = (tuple(BYTE * value for value in config[moment]) for moment in ("mean", "std"))
    return Source(network, tuple(config["input_size"][1:]), mean, std)


def _of_pt2(path: Path, settings: Distillation, task: Task) -> Source:
    """Return the network of a file: with the preprocessing of its description, or of the settings without one."""
    if not path.is_file():
        raise UserError("there is no such file.")
    try:
        stated = Stated.of(packed_description(path))
    except ValueError:
        stated = None
    try:
        with quiet():
            network = torch.export.load(path).module()
    except Exception as error:  # of torch, of its archive, of what it holds
        raise UserError(
            f"torch.export cannot load it: {first_line(error)}. It must be a whole file of `torch.export.save`."
        ) from error
    if stated is None:
        return Source(network, *_given(settings, task))
    if settings.given:
        raise UserError(f"the file states how its images are made: remove {' and '.join(settings.given)}.")
    found = stated.preprocessing
    if stated.takes_pixels:
        mean, std = (0.0,) * found.channels, (1.0,) * found.channels
    elif found.mean and found.std:
        mean, std = found.mean, found.std
    else:
        raise UserError("the normalisation of its images is unknown: export a trained network.")
    return Source(network, (found.height, found.width), mean, std, stated.classes)


def _given(settings: Distillation, task: Task) -> tuple[tuple[int, int], tuple[float, ...], tuple[float, ...]]:
    if settings.mean is None or settings.std is None:
        raise UserError(
            "the file does not say how its images are normalised: add `mean` and `std` to train.distillation, for "
            "pixels from 0 to 1, and `size` if it is not that of the task."
        )
    size = settings.size or (task.height, task.width)
    mean, std = (tuple(BYTE * value for value in values) for values in (settings.mean, settings.std))
    return size, mean, std


def _of_run(name: str, runs: Path) -> Source:
    """Return a network of a run: RUN, or RUN/NETWORK with anything that `zenfront export` takes."""
    head, _, tail = name.rpartition("/")
    for run, network in ((name, None), (head, tail)):
        folder = next((path for path in (runs / run, Path(run).expanduser()) if RunFolder(path).config.is_file()), None)
        if run and folder:
            if not is_allowed(RunFolder(folder).experiment().own_code()):
                raise UserError(
                    f"that run has code of its own. Run `zenfront export {run} --pt2 --allow-code`, and name the file "
                    "model.pt2 that it writes."
                )
            try:
                subject = run_subject(RunFolder(folder), network)
            except UserError as error:
                raise UserError(
                    f"{error} A network of a run teaches if it is trained to the end; any other one can be exported "
                    "with --pt2, and its file named."
                ) from error
            found = subject.preprocessing
            if not (found.mean and found.std):
                raise UserError("its own training function normalised the images, so that its input is unknown.")
            return Source(subject.network.eval(), (found.height, found.width), found.mean, found.std, subject.classes)
    raise UserError(f"there is no such run in {runs}. A teacher is {FORMS}.")
