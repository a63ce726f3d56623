"""Places where a run connects, reads and writes: given by the user, never by an experiment from elsewhere."""

import os
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment._messages import unfit
from zenfront.pipeline.experiment._types import Strict
from zenfront.pipeline.experiment.addresses import has_secrets
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.places import Cluster, Tracking

PLACES = {
    ("cluster", "address"): "RAY_ADDRESS",
    ("cluster", "storage"): "ZENFRONT_STORAGE",
    ("tracking", "uri"): "MLFLOW_TRACKING_URI",
}
"""Keys of an experiment that name a place, with the environment variable that gives it."""
_SECTIONS: Mapping[str, type[Strict]] = {"cluster": Cluster, "tracking": Tracking}
_MAX_BYTES = 100_000


@dataclass(frozen=True)
class OwnPlace:
    """A place that the user gave.

    Attributes:
        key: Key of `PLACES`.
        value: The place.
        source: Option, variable or file that gave it, for messages.
        general: Whether it was given for all runs, so that a trusted experiment comes before it.
    """

    key: tuple[str, str]
    value: str
    source: str
    general: bool = False


def own_places(address: str | None = None) -> list[OwnPlace]:
    """Return the places that the user gave outside of any experiment.

    The order is: the option ``--address``, the environment variables of `PLACES`, the settings file.

    Args:
        address: Value of the option ``--address``.

    Raises:
        UserError: A place is not valid, or the settings file cannot be read or has an unknown key.
    """
    given = [OwnPlace(("cluster", "address"), address, "--address")] if address else []
    given += [OwnPlace(key, os.environ[name], name) for key, name in PLACES.items() if os.environ.get(name)]
    given += _settings()
    first = {place.key: place for place in reversed(given)}
    for place in first.values():
        _check(place)
    return list(first.values())


def held(value: Any, key: tuple[str, str]) -> Any:
    """Return what an experiment's plain data hold at a key, or None."""
    section = value.get(key[0]) if isinstance(value, Mapping) else None
    return section.get(key[1]) if isinstance(section, Mapping) else None


def with_own_places(experiment: Experiment, places: Iterable[OwnPlace]) -> Experiment:
    """Return an experiment with the user's places; its own, if it has some, come before general ones only."""
    for place in places:
        section, key = place.key
        given = getattr(experiment, section)
        if getattr(given, key) is None or not place.general:
            experiment = experiment.model_copy(update={section: given.model_copy(update={key: place.value})})
    return experiment


def named_places(experiment: Experiment | Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys of the places that an experiment, or its JSON form, has: ``tracking.uri``."""
    value = experiment.model_dump() if isinstance(experiment, Experiment) else experiment
    yield from (".".join(key) for key in PLACES if held(value, key) is not None)


def without_places(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON form of an experiment without places, as run folders, their copies and MLflow keep it."""
    document = dict(stored)
    for key in PLACES:
        if held(document, key) is not None:
            document[key[0]] = document[key[0]] | {key[1]: None}
    return document


def note_on_places(experiment: Experiment, before: Iterable[str]) -> str | None:
    """Return a line for the user if a run was driven with places that are not given now, else None.

    Args:
        experiment: As it is driven now.
        before: Keys of the places that the run was driven with.
    """
    missing = [key for key in before if key not in named_places(experiment)]
    if not missing:
        return None
    return (
        f"this run was driven with {' and '.join(missing)} before, which a run folder does not keep. To use it again, "
        f"give it as before, or in {settings_file() or 'the environment'}."
    )


def settings_file() -> Path | None:
    """Return the path of the user's settings, or None for a user without a home."""
    configured = os.environ.get("XDG_CONFIG_HOME")
    try:
        return (Path(configured) if configured else Path.home() / ".config") / "zenfront.toml"
    except RuntimeError:
        return None


def _settings() -> Iterator[OwnPlace]:
    file = settings_file()
    if file is None or not file.is_file():
        return
    try:
        with file.open("rb") as stream:
            text, mode = stream.read(_MAX_BYTES), os.fstat(stream.fileno()).st_mode
        settings = tomllib.loads(text.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: the settings cannot be read ({error}). Correct the file, or delete it.") from error
    for section, keys in settings.items():
        for key, value in keys.items() if isinstance(keys, dict) else [("", keys)]:
            if (section, key) not in PLACES or not isinstance(value, str):
                known = ", ".join(map(".".join, PLACES))
                name = f"{section}.{key}".removesuffix(".")
                raise UserError(f"{file}: {name[:80]}: unknown key, or no text. Known here: {known}.")
            if has_secrets(value) and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise UserError(f"{file} holds a password and can be read by others. Make it yours: chmod 600 {file}")
            yield OwnPlace((section, key), value, str(file), general=True)


def _check(place: OwnPlace) -> None:
    section, key = place.key
    try:
        _SECTIONS[section].model_validate({key: place.value})
    except ValidationError as error:
        raise UserError(f"{place.source}: {section}.{key}: {unfit(error.errors(include_url=False))}") from error
