"""Scores of a module or an architecture, from Python."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import torch
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.checks import check_options
from zenfront.pipeline.device import resolve
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.references import read_named
from zenfront.pipeline.foreign.scoring import Weights, score_module
from zenfront.pipeline.given_batch import GivenBatch
from zenfront.pipeline.results.score_result import ScoreResult
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.user_code import UserCode, allow, command_code
from zenfront.spaces import Architecture, Space, Task

Options = Mapping[str, Mapping[str, object]]
TaskLike = Task | tuple[int, int, int, int]


@overload
def score(
    network: nn.Module,
    names: str | Sequence[str],
    /,
    *,
    images: Tensor | None = ...,
    labels: Tensor | None = ...,
    task: TaskLike | None = ...,
    features: str | None = ...,
    weights: Weights = ...,
    seed: int = ...,
    repeats: int = ...,
    options: Options | None = ...,
) -> ScoreResult: ...


@overload
def score(
    space: str,
    architecture: str | Architecture,
    names: str | Sequence[str],
    /,
    *,
    images: Tensor | None = ...,
    labels: Tensor | None = ...,
    task: TaskLike | None = ...,
    seed: int = ...,
    repeats: int = ...,
    options: Options | None = ...,
    device: str = ...,
) -> ScoreResult: ...


def score(
    network: nn.Module | str,
    *names: Any,
    images: Tensor | None = None,
    labels: Tensor | None = None,
    task: TaskLike | None = None,
    features: str | None = None,
    weights: Weights = "fresh",
    seed: int = 0,
    repeats: int = 1,
    options: Options | None = None,
    device: str | None = None,
) -> ScoreResult:
    """Take training-free scores of a torch module, or of an architecture of a search space.

    ``score(network, names, ...)`` scores a module and ``score(space, architecture, names, ...)`` an architecture::

        zf.score(net, ["zen", "ntk", "zico", "flops"], images=x, labels=y)
        zf.score("nasbench201", "|nor_conv_3x3~0|+|...|", ["meco"], task=(3, 32, 32, 10))

    Args:
        network: Any module (N, C, H, W) -> (N, K). Scores are taken on a copy without hooks, in float32 and on the
            module's device; the module stays as it is.
        space: Name of a search space (``zf.spaces.names()``), or ``"./file.py"`` with one of your own, which is run.
        architecture: Architecture in the notation of the space, as `zenfront spaces NAME --sample 5` shows it.
        names: Names of the scores (``zf.proxies.names()``), or ``"./file.py"`` with one of your own, which is run.
        images: Real images (N, C, H, W), float32 or float64, normalised. Without them, scores that need no real images
            are taken on 32 images of standard normal noise, and the others are undefined.
        labels: Classes of the images (N,), int64. Without them, scores that need labels are undefined.
        task: ``(channels, height, width, classes)``. A search space needs it to build the network, and a module if
            there are no images.
        features: Name of the module whose output is the features. By default it is the input of the last pooling and
            linear head; the notes of the result say which.
        weights: ``"fresh"``: the weights of the copy are drawn anew, as each score defines: of convolutions and linear
            layers from its distribution, of any other module by its own ``reset_parameters``. ``"as_is"``: the weights
            are those of the module.
        seed: Root of all randomness; the same seed gives the same scores.
        repeats: Number of samples with fresh weights, whose mean is the value; with two or more the result has standard
            errors. Costs are exact and taken once.
        options: Options of the scores by name, ``{"zen": {"mode": "reference"}}``; `zenfront proxies NAME` lists them.
        device: Device of the network of an architecture: ``"cpu"``, ``"cuda"`` or ``"auto"``.

    Returns:
        The scores, each in its unit (`ScoreResult.units`); a score that is undefined has a reason instead, and leaves
        the others as they are. The notes say what is not known of a module: Zen-score and ZiCo are defined without
        shortcuts, which cannot be recognised in a module that no search space has built.

    Raises:
        UserError: A name or an option is unknown; images, labels and task do not fit together or to the network; the
            module cannot be copied or does not return logits (N, K).
    """
    if not isinstance(repeats, int) or repeats < 1:
        raise UserError(f"repeats= must be a whole number of at least 1, but got {repeats!r}.")
    wanted = read_task(task)
    if isinstance(network, nn.Module) and len(names) == 1:
        if device is not None:
            raise UserError(f"device={device!r}: a module is scored on the device that it is on; move it there before.")
        if weights not in ("fresh", "as_is"):
            raise UserError(f"weights= must be 'fresh' or 'as_is', but got {weights!r}.")
        asked, code = _read(names[0], options)
        given = GivenBatch.of(images, labels, wanted, seed)
        loaded = [proxies.load(name, code) for name in asked]
        return score_module(
            network, loaded, given, features=features, weights=weights, seed=seed, repeats=repeats, options=options
        )
    if isinstance(network, str) and len(names) == 2:
        if features is not None or weights != "fresh":
            raise UserError("features= and weights= go with a module; a search space knows its features.")
        if wanted is None:
            raise UserError(f"space {network!r} needs task=(channels, height, width, classes) to build the network.")
        asked, own_scores = _read(names[1], options)
        own_spaces, [space] = read_named("spaces", [network])
        code = [*own_scores, *own_spaces]
        given = GivenBatch.of(images, labels, wanted, seed)
        scoring = Scoring(
            space=spaces.load(space, code),
            task=wanted,
            names=asked,
            batch=given.batch,
            seed=seed,
            repeats=repeats,
            options=options or {},
            device=resolve(device or "cpu"),
            keep_partial=True,
            code=code,
        )
        return _of_architecture(scoring, names[0], given)
    kinds = ", ".join(type(argument).__name__ for argument in (network, *names))
    raise UserError(f"score takes (module, names) or (space, architecture, names), but got ({kinds}).")


def read_task(task: TaskLike | None) -> Task | None:
    """Return the task that an argument of the face gives; None if none is given.

    Raises:
        UserError: It is not four whole numbers, or one of them is out of range.
    """
    if task is None or isinstance(task, Task):
        return task
    if not isinstance(task, tuple | list) or len(task) != 4 or not all(isinstance(part, int) for part in task):
        raise UserError(f"task= must be (channels, height, width, classes), four whole numbers, but got {task!r}.")
    try:
        return Task(*task)
    except ValueError as error:
        raise UserError(f"task=: {error}.") from error


def _of_architecture(scoring: Scoring, architecture: str | Architecture, given: GivenBatch) -> ScoreResult:
    given.check_classes(scoring.task.classes)
    asked = [proxies.load(name, scoring.code) for name in scoring.names]
    undefined = {proxy.name: reason for proxy in asked if (reason := given.lacks(proxy))}
    found = _scored(
        replace(scoring, names=[name for name in scoring.names if name not in undefined]),
        read_architecture(scoring.space, architecture),
    )
    undefined |= found.undefined
    return ScoreResult(
        values={name: found.values[name] for name in scoring.names if name in found.values},
        errors=found.errors,
        undefined={name: undefined[name] for name in scoring.names if name in undefined},
        units={proxy.name: proxy.unit for proxy in asked},
        seconds=found.seconds,
        notes=() if given.real else (f"images: {len(given.batch.images)} of standard normal noise",),
    )


def _scored(scoring: Scoring, architecture: Architecture) -> ScoreResult:
    if not scoring.names:
        return ScoreResult({}, {}, {}, {}, {})
    try:
        found = scoring.score(architecture)
    except torch.OutOfMemoryError as error:
        raise UserError(f"the GPU has too little memory left: {error}") from error
    failed = dict.fromkeys(scoring.names, found.failure) if found.failure else {}
    return ScoreResult(found.values, found.errors, {**failed, **found.undefined}, {}, found.seconds)


def read_architecture(space: Space, architecture: str | Architecture) -> Architecture:
    """Return the architecture that an argument of the face gives, in the notation of the space or as a value.

    Raises:
        UserError: It is not one of the space.
    """
    if isinstance(architecture, str):
        return space.architecture(space.parse(architecture))
    if architecture.space != space.name:
        raise UserError(f"the architecture is of space {architecture.space!r}, not of {space.name!r}.")
    return architecture


def _read(names: str | Sequence[str], options: Options | None) -> tuple[list[str], list[UserCode]]:
    """Return the names of the scores, each once, and the code of those that are the user's own."""
    if not isinstance(names, str | list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(f"the scores must be a name or a list of names, but got {names!r}.")
    if not isinstance(options or {}, Mapping) or not all(isinstance(o, Mapping) for o in (options or {}).values()):
        raise UserError(
            f'options= must map scores to options, {{"zen": {{"mode": "reference"}}}}, but got {options!r}.'
        )
    code, named = read_named("proxies", [names] if isinstance(names, str) else names)
    asked = list(dict.fromkeys(named))
    if not asked:
        raise UserError("name at least one score; zf.proxies.names() lists them.")
    for name in asked:
        proxies.load(name, code)
    for name, settings in (options or {}).items():
        if name not in asked:
            raise UserError(f"options= has an entry for {name!r}, which is not among the scores: {', '.join(asked)}.")
        check_options(name, settings, code)
        if command := settings.get("command"):
            code.append(command_code(str(command), name))
            allow(code[-1:])  # the caller wrote it
    return asked, code
