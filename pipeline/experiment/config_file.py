"""Read an `Experiment` from a YAML file and overrides; a mistake is reported with file, line, key, value and rule."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment._messages import unfit
from zenfront.pipeline.experiment._yaml_positions import MAX_DEPTH, Document, Place, SourcePlace, dump, parse, written
from zenfront.pipeline.experiment.addresses import shown
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.own_places import PLACES, OwnPlace, held, settings_file
from zenfront.pipeline.experiment.references import resolve, typed_commands, unknown_names, with_references
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.user_code import UserCode, allow
from zenfront.pipeline.wording import suggestion
from zenfront.spaces import Task

MAX_BYTES = 100_000
MOST_TOLD = 100
"""Number of mistakes of a file that are reported."""
SHIPPED = Path(__file__).parents[2] / "tune_configs"
AUTO = "auto"
"""Value of `task` that is read from the data; so is a task that is not given."""
UNKNOWN = {"channels": 1, "height": 1, "width": 1, "classes": 2}
"""Stands for a task that is not read yet."""
RECIPE: Place = ("train", "recipe")
ReadTask = Callable[[Data], Task]
_KEY = re.compile(r"[^.\[\]]+(\[\d+\]|\.[^.\[\]]+)*")
_SEGMENT = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def load_experiment(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    allow_code: bool = False,
    trust_config: bool = False,
    places: Sequence[OwnPlace] = (),
    read_task: ReadTask | None = None,
) -> Experiment:
    """Read an experiment.

    Args:
        path: A YAML file, or the name of one in ``tune_configs/`` (``quickstart``).
        overrides: Texts ``key=value`` with dots and indices, such as ``search.population=128`` or
            ``objectives[0].direction=minimise``; the value is YAML.
        allow_code: Whether Python files that the experiment names may run; those that an override names may.
        trust_config: Whether the file may say where to connect, read and write (`PLACES`); an override may.
        places: Places that the user gave. They replace those of the file, but not a trusted one by a general one.
        read_task: Function that reads the task from the data, for ``task: auto`` (`checks.read_task`).

    Raises:
        UserError: The file or an override is wrong, or the file names a place and is not trusted. The message has a
            line for every mistake, with its place and rule.
    """
    file = _find(Path(path))
    document = parse(_text(file), str(file))
    if not isinstance(document.value, dict):
        got = "nothing" if document.value is None else f"a {type(document.value).__name__}"
        raise UserError(f"{file}: an experiment must be a mapping of keys to values, but the file holds {got}.")
    named = {key: document.origins[key] for key in PLACES if held(document.value, key) is not None}
    for place in places:
        if place.key not in named or not (trust_config and place.general):
            _put(document, place.key, Document(place.value, {place.key: SourcePlace(place.source)}), place.source)
    for override in overrides:
        _apply(override, document)
    if not trust_config:
        _refuse_places(document, named)
    return _resolved_experiment(document, file.parent, allow_code=allow_code, read_task=read_task)


def with_overrides(
    experiment: Experiment, overrides: Sequence[str], *, allow_code: bool = False, read_task: ReadTask | None = None
) -> Experiment:
    """Return the experiment with some keys changed, as `load_experiment` does it.

    Here all keys are given. A preset of the recipe counts for those that no override gives.

    Raises:
        UserError: An override is wrong.
    """
    origins: dict[Place, SourcePlace] = {(): SourcePlace(f"experiment {experiment.name}")}
    document = Document(experiment.model_dump(mode="json", exclude={"code"}), origins)
    if any(override.startswith("train.recipe.preset=") for override in overrides):
        document.value["train"]["recipe"] = {}
    for override in overrides:
        _apply(override, document)
    return _resolved_experiment(document, None, experiment.code, allow_code=allow_code, read_task=read_task)


def to_yaml(experiment: Experiment) -> str:
    """Return the experiment as YAML with every default written out; `load_experiment` reads it to the same value."""
    return dump(with_references(experiment))


def schema() -> str:
    """Return the JSON schema of an experiment, for editors."""
    whole = Experiment.model_json_schema()
    task = whole["properties"]["task"]
    whole["properties"]["task"] = {
        "anyOf": [task, {"const": AUTO}],
        "default": AUTO,
        "description": task["description"],
    }
    whole["required"].remove("task")
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def shipped() -> list[str]:
    """Return the names of the experiments in ``tune_configs/``, here and in the installed package."""
    return sorted({file.stem for folder in (Path("tune_configs"), SHIPPED) for file in folder.glob("*.yaml")})


def find_config(path: Path) -> Path | None:
    """Return the file that `load_experiment` reads for a path or a name, if there is one."""
    folders = (Path("tune_configs"), SHIPPED) if path.name == str(path) and not path.suffix else ()
    return next(filter(Path.is_file, [path, *(folder / f"{path}.yaml" for folder in folders)]), None)


def _find(path: Path) -> Path:
    if file := find_config(path):
        return file
    hint = suggestion(path.stem, shipped())
    reason = "it is a folder" if path.is_dir() else "there is no such file"
    raise UserError(f"no experiment {str(path)!r}: {reason}.{hint} Shipped: {', '.join(shipped()) or 'none'}.")


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}.") from error
    if len(data) > MAX_BYTES:
        raise UserError(f"{file}: an experiment has at most {MAX_BYTES:,} bytes, but this file is larger.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}, line {line}: the text must be UTF-8, but byte {error.start} is not.") from error


def _apply(override: str, document: Document) -> None:
    key, equals, text = override.partition("=")
    quoted = re.sub(r"(?<=://).*", "...", override, flags=re.DOTALL)  # a wrong address may hold a password anywhere
    source = f"--set {quoted}" if len(quoted) <= 80 else f"--set {quoted[:77]}..."
    if not _KEY.fullmatch(key) or not equals:
        raise UserError(f"{source}: write an override as key=value, for instance search.population=128.")
    place: Place = tuple(int(index) if index else name for name, index in _SEGMENT.findall(key[:MAX_BYTES]))
    if len(place) > MAX_DEPTH:
        raise UserError(f"{source}: a key has at most {MAX_DEPTH} levels, but this one has {len(place)}.")
    _put(document, place, parse(text, source, place), source)


def _put(document: Document, place: Place, value: Document, source: str) -> None:
    parent = _parent(document.value, place, source)
    parent[place[-1]] = value.value
    for inside in [p for p in document.origins if p[: len(place)] == place]:
        del document.origins[inside]
    document.origins.update(value.origins)
    for depth in range(1, len(place) + 1):
        document.origins.setdefault(place[:depth], SourcePlace(source))


def _parent(top: Any, place: Place, source: str) -> Any:
    """Return the mapping or list that holds a place; create missing mappings on the way."""
    holder = top
    for depth, part in enumerate(place):
        here = written(place[:depth]) or "the experiment"
        if place[: depth + 1] == RECIPE and depth < len(place) - 1 and isinstance(holder.get(part), str):
            holder[part] = {"preset": holder[part]}  # of which a text is the short form
        if isinstance(part, str) and not isinstance(holder, dict):
            raise UserError(f"{source}: {here} is not a mapping and has no key {part!r}.")
        if isinstance(part, int) and not (isinstance(holder, list) and part < len(holder)):
            size = f"a list of {len(holder)}" if isinstance(holder, list) else "not a list"
            raise UserError(f"{source}: {here} is {size} and has no item [{part}]; they are counted from 0.")
        if depth < len(place) - 1:
            holder = holder.setdefault(part, {}) if isinstance(holder, dict) else holder[part]
    return holder


def _refuse_places(document: Document, named: Mapping[tuple[str, str], SourcePlace]) -> None:
    """Refuse the places that the file named, unless something that the user gave has replaced them."""
    lines = []
    for key, origin in named.items():
        if document.origins.get(key) is origin:
            name = written(key)
            lines.append(
                f"{origin.where}: {name}: an experiment does not decide where to connect, read or write, but this one "
                f"names {shown(str(held(document.value, key)))[:200]}. Give the place yourself (--set {name}=..., "
                f"{PLACES[key]}, {settings_file() or 'zenfront.toml'}), or trust the file: --trust-config."
            )
    if lines:
        raise UserError("\n".join(lines))


def _resolved_experiment(
    document: Document,
    folder: Path | None,
    known: Sequence[UserCode] = (),
    *,
    allow_code: bool,
    read_task: ReadTask | None,
) -> Experiment:
    resolve(document, folder, known)
    automatic = document.value.get("task", AUTO) == AUTO
    experiment = _validated(replace(document, value=document.value | {"task": UNKNOWN}) if automatic else document)
    every = [*experiment.code, *experiment.own_code(), *experiment.teacher_code]
    allow(every if allow_code else typed_commands(document, experiment))
    if not automatic:
        return experiment
    own = bool(experiment.train.function) and experiment.train.data == Data()
    if own or read_task is None:
        loads = "`train.function` loads" if own else "this command does not read"
        raise UserError(f"task: `auto` is read from the data, which {loads}. Write the task out.")
    return experiment.model_copy(update={"task": read_task(experiment.train.data)})


def _validated(document: Document) -> Experiment:
    """Return the experiment; the first mistakes of the document are reported at once, in the order of its keys."""
    named, found = unknown_names(document.value), dict[Place, list[ErrorDetails]]()
    try:
        experiment = Experiment.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            found.setdefault(_place(detail, document.value), []).append(detail)
    if named or found:
        order = {place: position for position, place in enumerate(document.origins)}
        places = sorted(dict.fromkeys([*found, *named]), key=lambda place: order[_known_part(place, document)])
        told = {place: named.get(place) or _mistake(place, found[place]) for place in places[:MOST_TOLD]}
        lines = [_message(place, mistake, document) for place, mistake in told.items()]
        raise UserError("\n".join(lines + [f"... and {len(places) - MOST_TOLD} more."] * (len(places) > MOST_TOLD)))
    return experiment


def _known_part(place: Place, document: Document) -> Place:
    """Return the longest beginning of a place that the document has."""
    return next(place[:n] for n in range(len(place), -1, -1) if place[:n] in document.origins)


def _place(detail: ErrorDetails, value: Any) -> Place:
    """Return the part of pydantic's location that is in the data, without the names of union members."""
    place: Place = ()
    for part in detail["loc"]:
        if isinstance(value, dict) and part in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
        else:
            continue
        place = (*place, part)
    return (*place, detail["loc"][-1]) if detail["type"] == "missing" else place


def _message(place: Place, mistake: str, document: Document) -> str:
    origin = document.origins[_known_part(place, document)]
    name = f"{written(place)[:200]}: " if place else ""
    return f"{origin.where}: {name}{mistake}"


def _mistake(place: Place, details: Sequence[ErrorDetails]) -> str:
    detail = details[0]
    match detail["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            known = list(_resolved(_schema(place[:-1]))["properties"])
            return f"unknown key.{suggestion(place[-1], known)} Known here: {', '.join(known)}."
        case "missing":
            return f"the key is missing: {_schema(place).get('description', '')}"
    return unfit(details)


def _schema(place: Place) -> dict[str, Any]:
    """Return the part of the JSON schema that describes a place, with its own description."""
    part = _whole_schema()
    for key in place:
        inside = _resolved(part)
        named = inside.get("properties", {}).get(key)
        part = inside["items"] if isinstance(key, int) else named or inside["additionalProperties"]
    return part


@cache
def _whole_schema() -> dict[str, Any]:
    return Experiment.model_json_schema()


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    """Return the definition that a part of the JSON schema refers to, or the part itself; of several, the mapping."""
    name = part.get("$ref", "").rpartition("/")[2]
    definition: dict[str, Any] = _whole_schema()["$defs"][name] if name else part
    members = (*definition.get("oneOf", ()), *definition.get("anyOf", ()))
    return next((_resolved(each) for each in members if "$ref" in each), definition)
