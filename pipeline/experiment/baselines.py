"""The known networks of an experiment, `train.baselines`, as architectures."""

import re
from collections.abc import Iterator

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.wording import suggestion
from zenfront.spaces import PUBLISHED, Architecture


def wrong_baselines(experiment: Experiment) -> Iterator[str]:
    """Yield a message for each baseline that is not known or cannot be built for the task."""
    for index, each in enumerate(experiment.train.baselines):
        try:
            if isinstance(each, str):
                named_baseline(each, experiment)
        except UserError as error:
            yield f"train.baselines[{index}]: {error}"


def named_baseline(text: str, experiment: Experiment) -> Architecture:
    """Return the architecture of a published name or a notation.

    Raises:
        UserError: It is not known, or cannot be built for the task.
    """
    architecture = _architecture(text, experiment)
    space = spaces.load(architecture.space, experiment.code)
    if reason := space.violation(architecture, experiment.task):
        raise UserError(f"{text!r} cannot be built for the task: {reason}.")
    return architecture


def asked_baselines(experiment: Experiment) -> tuple[str, ...]:
    """Return the entries of `train.baselines` as texts, such as ``resnet20`` and ``random: 8``."""
    return tuple(each if isinstance(each, str) else f"random: {each.random}" for each in experiment.train.baselines)


def _architecture(text: str, experiment: Experiment) -> Architecture:
    text = text.strip()
    if published := _published(text):
        return published
    if re.fullmatch(r"[\w .-]*", text):  # no notation of a space is as plain
        raise UserError(_unknown(text))
    if named := re.match(r"([A-Za-z]\w*)\s*:\s*(.*)", text, re.DOTALL):
        return _parse(named[1], named[2], experiment)
    try:
        return _parse(experiment.space, text, experiment)
    except UserError as error:
        raise UserError(f"{error} For another space, write 'SPACE: NOTATION'.") from error


def _published(text: str) -> Architecture | None:
    """Return the published architecture of a name, in which case and punctuation do not count."""
    plain = {_plain(name): architecture for name, architecture in PUBLISHED.items()}
    return plain.get(_plain(text))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _parse(space: str, notation: str, experiment: Experiment) -> Architecture:
    if space not in (known := spaces.names(experiment.code)):
        raise UserError(f"there is no search space {space!r}.{suggestion(space, known)} `zenfront spaces` lists them.")
    loaded = spaces.load(space, experiment.code)
    return loaded.architecture(loaded.parse(notation))


def _unknown(name: str) -> str:
    near = suggestion(name, list(PUBLISHED))
    return (
        f"there is no published network {name!r}.{near} Known: {', '.join(PUBLISHED)}. "
        "Or write an architecture in the notation of its space, as 'SPACE: NOTATION'."
    )
