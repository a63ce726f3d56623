"""References to the user's own code in an experiment: read, and replaced by the names that the results have."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment._yaml_positions import Document, Place, written
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.registry import registry_of
from zenfront.pipeline.user_code import COMMANDS, UserCode, allow, is_reference, read

CONSTANTS = {"spaces": "SPACE", "proxies": "PROXY", "training": "train"}
"""Attribute of a file that a reference without an attribute stands for, by the kind of the reference."""
NO_FUNCTION = "{shown!r} names no code: write ./file.py, ./file.py:NAME or package.module:NAME."
TYPED = "--set "
"""How the place of an override begins."""
MOST_WRONG = 100
"""Wrong names that are looked into, and files of code that are read, in one experiment."""


def resolve(document: Document, folder: Path | None, known: Sequence[UserCode] = ()) -> None:
    """Replace every reference in a document by its name, and put the code under the key ``code``.

    A reference of an override is relative to the working directory, and allowed: it was named on the command line.

    Args:
        document: Document of an experiment, with its overrides applied; changed in place.
        folder: Folder of the file, for the references in it; None: only overrides hold references.
        known: Code that was read before.

    Raises:
        UserError: A reference cannot be read; two of them have one name; the document has a key ``code`` of its own.
    """
    if "code" in document.value:
        where = document.origins["code",].where
        raise UserError(f"{where}: code: unknown key. Name a file where a name is expected: space: ./myspace.py.")
    found: dict[tuple[str, str], UserCode] = {}
    for place, kind in list(_places(document.value)):
        where, reference = document.origins[place].where if place in document.origins else "", str(place[-1])
        typed = where.startswith(TYPED)
        in_key = place[0] == "proxies"
        holder = _holder(document.value, place)
        reference = str(place[-1]) if in_key else holder[place[-1]]
        if not is_reference(reference) or not (typed or folder):
            continue
        code = _read(kind, reference, Path() if typed or folder is None else folder, f"{where}: {written(place)}")
        if found.setdefault((kind, code.name), code).source != code.source:
            first = found[kind, code.name].file
            raise UserError(f"{where}: {written(place)}: {code.file} and {first} have the same name. Rename one.")
        if typed:
            allow([code])
        if in_key:
            _rename(document, place, code.name)
        else:
            holder[place[-1]] = code.name
    every = {(code.kind, code.name): code for code in known} | found
    if every:
        document.value["code"] = [asdict(code) for code in every.values()]


def typed_commands(document: Document, experiment: Experiment) -> list[UserCode]:
    """Return the command lines and the teacher that overrides have given: they were named on the command line."""
    places: dict[Place, UserCode] = {
        ("proxies", code.name, "command"): code for code in experiment.own_code() if code.kind == COMMANDS
    }
    for code in experiment.teacher_code:
        places["train", "distillation", "teacher"] = code
    origins = {place: document.origins[place].where for place in places if place in document.origins}
    return [places[place] for place, where in origins.items() if where.startswith(TYPED)]


def unknown_names(value: dict[str, Any]) -> dict[Place, str]:
    """Return why names of spaces, proxies, algorithms, schedulers and code are wrong, by their place in plain data."""
    code = [UserCode(**each) for each in value.get("code", ())]
    wrong: dict[Place, str] = {}
    function = value["train"].get("function") if isinstance(value.get("train"), dict) else None
    if isinstance(function, str) and not any((each.kind, each.name) == ("training", function) for each in code):
        wrong["train", "function"] = NO_FUNCTION.format(shown=function[:80])
    for place, kind in _names(value):
        name = str(place[-1]) if place[0] == "proxies" else _holder(value, place)[place[-1]]
        if problem := registry_of(kind).problem(name, code):
            wrong[place] = problem
        if len(wrong) >= MOST_WRONG:
            break
    return wrong


def with_named(experiment: Experiment, kind: str, names: Sequence[str]) -> tuple[Experiment, list[str]]:
    """Return the experiment with the code that a command line refers to, and the names in place of the references.

    Args:
        experiment: Its code stays.
        kind: ``spaces`` or ``proxies``.
        names: Names, or references relative to the working directory; these are allowed.

    Raises:
        UserError: A reference cannot be read.
    """
    code, named = read_named(kind, names)
    every = {(each.kind, each.name): each for each in [*experiment.code, *code]}
    return experiment.model_copy(update={"code": tuple(every.values())}), named


def read_named(kind: str, names: Sequence[str]) -> tuple[list[UserCode], list[str]]:
    """Read the code that a command line refers to, which is allowed; return it, and the names in its place.

    Raises:
        UserError: A reference cannot be read.
    """
    found = {name: _read(kind, name, Path(), f"--{kind}") for name in names if is_reference(name)}
    allow(found.values())
    return list(found.values()), [found[name].name if name in found else name for name in names]


def with_references(experiment: Experiment) -> dict[str, Any]:
    """Return the experiment as plain data in which references stand in place of the code."""
    value = experiment.model_dump(mode="json")
    value["proxies"] = dict(value["proxies"])
    references = {(code.kind, code.name): code.reference for code in experiment.code}
    del value["code"]
    for place, kind in list(_places(value)):
        holder = _holder(value, place)
        name = str(place[-1]) if place[0] == "proxies" else holder[place[-1]]
        if (kind, name) in references and place[0] == "proxies":
            holder[references[kind, name]] = holder.pop(name)
        elif (kind, name) in references:
            holder[place[-1]] = references[kind, name]
    return value


def _read(kind: str, reference: str, folder: Path, where: str) -> UserCode:
    try:
        return read(kind, CONSTANTS[kind], reference, folder)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _places(value: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """List the places of names, of text only: what has another type is reported by the validation."""
    if isinstance(value.get("space"), str):
        yield ("space",), "spaces"
    for key in ("objectives", "constraints"):
        items = value.get(key)
        for index, item in enumerate(items if isinstance(items, list | tuple) else ()):
            if isinstance(item, dict) and isinstance(item.get("score"), str):
                yield (key, index, "score"), "proxies"
    if isinstance(value.get("proxies"), dict):
        yield from ((("proxies", name), "proxies") for name in value["proxies"])
    if isinstance(value.get("select"), dict) and isinstance(value["select"].get("along"), str):
        yield ("select", "along"), "proxies"
    train = value["train"] if isinstance(value.get("train"), dict) else {}
    if isinstance(train.get("function"), str):
        yield ("train", "function"), "training"
    compared = train.get("objectives")
    for index, name in enumerate(compared if isinstance(compared, list) else ()):
        if isinstance(name, str):
            yield ("train", "objectives", index), "proxies"


def _names(value: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """List the places of all names: those that can be references, and those of algorithm and scheduler."""
    yield from ((place, kind) for place, kind in _places(value) if place[0] not in ("select", "train"))
    search, train = value.get("search"), value.get("train")
    if isinstance(search, dict) and isinstance(search.get("algorithm"), str):
        yield ("search", "algorithm"), "algorithms"
    scheduler = train.get("scheduler") if isinstance(train, dict) else None
    if isinstance(scheduler, dict) and isinstance(scheduler.get("name"), str):
        yield ("train", "scheduler", "name"), "schedulers"


def _holder(value: Any, place: Place) -> Any:
    for part in place[:-1]:
        value = value[part]
    return value


def _rename(document: Document, place: Place, name: str) -> None:
    """Give an entry of a mapping another key, in the value and in the origins."""
    options = document.value["proxies"]
    renamed, same = options.pop(place[-1]), options.get(name, {})
    both = isinstance(renamed, dict) and isinstance(same, dict)
    options[name] = renamed | same if both else renamed  # --set proxies.NAME.option adds to what the file says
    for old in [each for each in document.origins if each[: len(place)] == place]:
        document.origins[*place[:-1], name, *old[len(place) :]] = document.origins.pop(old)
