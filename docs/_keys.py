"""The reference of the keys of an experiment, from the schema."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zenfront.pipeline.experiment.config_file import schema

Schema = Mapping[str, Any]
KEYS = """# Keys of an experiment

An experiment is a YAML file with the keys below. `zenfront config check FILE` checks it, `zenfront config show FILE`
prints it with all defaults, and `--set KEY=VALUE` changes a key for one command. `[]` stands for each entry of a list.
Editors complete and check the keys if the first line is `# yaml-language-server: $schema=schema.json` and the schema
lies beside the file: `zenfront config schema > schema.json`.
"""


def keys() -> str:
    """Return the reference of the keys of a YAML file, from the schema."""
    whole = json.loads(schema())
    return KEYS + "".join(_object(path, found) for path, found in _objects("", whole, whole["$defs"]))


def _objects(path: str, found: Schema, known: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield an object of the schema and those within it, each with its path."""
    yield path, found
    for key, value in found["properties"].items():
        for name, within in _references(value):
            yield from _objects(f"{path}.{key}{within}".lstrip("."), known[name], known)


def _references(value: Schema) -> Iterator[tuple[str, str]]:
    """Yield the names of the objects that a value can be or hold, with "[]" for the entries of a list."""
    if "$ref" in value:
        yield value["$ref"].rpartition("/")[2], ""
    for choice in _choices(value):
        yield from _references(choice)
    for name, within in _references(value["items"]) if "items" in value else ():
        yield name, f"[]{within}"


def _choices(value: Schema) -> Sequence[Schema]:
    return value.get("anyOf") or value.get("oneOf") or ()


def _object(path: str, found: Schema) -> str:
    title = f"\n## {path}\n\n{found.get('description', '')}\n" if path else ""
    return title + "".join(
        _key(f"{path}.{key}".lstrip("."), value, found) for key, value in found["properties"].items()
    )


def _key(place: str, value: Schema, found: Schema) -> str:
    """Return the description of a key, as an entry of a list of definitions that a link can lead to."""
    text = next((each["description"] for each in (value, *_choices(value)) if "description" in each), "")
    kind = _kind(value) + _default(place.rpartition(".")[2], value, found)
    anchor = place.replace("[]", "")
    return f"\n`{place}`{{ #{anchor} }}\n:   {kind}\n\n    {' '.join(text.split())}\n"


def _default(key: str, value: Schema, found: Schema) -> str:
    """Return the default of a key; one that holds keys of its own has none beside theirs."""
    if key in found.get("required", ()):
        return ", required"
    default = value.get("default")
    if default is None and "default" in value:
        return ", optional"
    return "" if default is None or (isinstance(default, dict) and default) else f", default `{json.dumps(default)}`"


def _kind(value: Schema) -> str:
    """Return what a value can be, in words."""
    if "$ref" in value:
        return "keys below"
    if choices := _choices(value):
        return " or ".join(_kind(choice) for choice in choices if choice.get("type") != "null")
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return " or ".join(f"`{choice}`" for choice in value["enum"])
    if value["type"] == "array":
        kinds = value["prefixItems"] if "prefixItems" in value else [value["items"]]
        return f"list: {', '.join(map(_kind, kinds))}"
    return KINDS[value["type"]] + _bounds(value)


KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true` or `false`",
    "object": "keys",
}
BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
}


def _bounds(value: Schema) -> str:
    """Return the bounds of a number; one that no use comes near is left out."""
    said = [text.format(f"{value[key]:,}") for key, text in BOUNDS.items() if key in value and value[key] < 1e6]
    return " " + " and ".join(said) if said else ""
