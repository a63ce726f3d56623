"""Pages of the site that are made when it is built: the reference from the code, and documents of the root folder.

mkdocs calls `on_config` and `on_files` (``hooks`` in mkdocs.yml). No page of these is kept in the repository.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import zenfront
from zenfront.pipeline.cli.app import app
from zenfront.pipeline.experiment.config_file import schema

ROOT = Path(__file__).parents[1]
ROOT_DOCUMENTS = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
Schema = Mapping[str, Any]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace each pattern in ``nav``, such as ``decisions/*.md``, by the files that it stands for."""
    config.nav = [_expanded(section, Path(config.docs_dir)) for section in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made to those of the folder."""
    for uri, text in pages().items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let a link to a document of the root folder lead to its page."""
    names = "|".join(map(re.escape, ROOT_DOCUMENTS))
    up = "../" * page.file.src_uri.count("/")
    return re.sub(rf"\]\((?:\.\./)+({names})", lambda link: f"]({up}{link[1].lower()}", markdown)


def pages() -> dict[str, str]:
    """Return the Markdown of all pages that are made, by their paths within the site."""
    documents = {name.lower(): _of_root((ROOT / name).read_text(encoding="utf-8")) for name in ROOT_DOCUMENTS}
    return documents | {
        "decisions/index.md": decisions(),
        "reference/cli.md": cli(),
        "reference/experiment.md": experiment(),
        "reference/python.md": python(),
    }


def _expanded(section: Any, docs: Path) -> Any:
    if isinstance(section, dict):
        return {title: _expanded(entry, docs) for title, entry in section.items()}
    if isinstance(section, list):
        return [entry for item in section for entry in _matches(item, docs)]
    return section


def _matches(item: Any, docs: Path) -> list[Any]:
    if not isinstance(item, str) or "*" not in item:
        return [_expanded(item, docs)]
    return [str(Path(item).parent / "index.md"), *sorted(str(path.relative_to(docs)) for path in docs.glob(item))]


def _of_root(text: str) -> str:
    """Return a document of the root folder with its links to documents made relative to the site."""
    names = "|".join(map(re.escape, ROOT_DOCUMENTS))
    text = re.sub(rf"\]\(({names})", lambda link: f"]({link[1].lower()}", text)
    return text.replace("](docs/", "](")


def decisions() -> str:
    """Return the list of the decision records."""
    lines = ["# Decisions", "", "Each record states a question, the answer, and what speaks for and against it.", ""]
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"


# The command line


def cli() -> str:
    """Return the reference of the command line, from the help of its commands."""
    group: Any = typer.main.get_command(app)
    text = f"# Command line\n\n{_prose(group.help)} {_prose(group.epilog)}\n"
    return text + "".join(_section(f"zenfront {name}", command) for name, command in _commands(group))


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _section(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"## {name}", _prose(command.help), f"```text\n{name} {usage}\n```"]
    for parameter in command.params:
        if record := parameter.get_help_record(context):
            parts.append(f"`{record[0].strip().removesuffix(' <str>')}`\n:   {_prose(record[1])}")
    if examples := re.sub(r"^Examples?: ", "", command.epilog or ""):
        parts.append("```sh\n" + "\n".join(re.split(" · ", examples)) + "\n```")
    return "\n" + "\n\n".join(parts) + "\n"


def _prose(text: str | None) -> str:
    """Return a help text as Markdown: its line breaks are none of a paragraph."""
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", text or "").replace("[default", "\\[default")
    return re.sub(r"docs/([\w-]+\.md)", r"[docs/\1](../\1)", text).strip()


# The keys of an experiment

KEYS = """# Keys of an experiment

An experiment is a YAML file with the keys below. `zenfront config check FILE` checks it, `zenfront config show FILE`
prints it with all defaults, and `--set KEY=VALUE` changes a key for one command. `[]` stands for each entry of a list.
"""


def experiment() -> str:
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
    for choice in value.get("anyOf", ()):
        yield from _references(choice)
    for name, within in _references(value["items"]) if "items" in value else ():
        yield name, f"[]{within}"


def _object(path: str, found: Schema) -> str:
    title = f"\n## {path}\n\n{found.get('description', '')}\n" if path else ""
    return title + "".join(
        _key(f"{path}.{key}".lstrip("."), value, found) for key, value in found["properties"].items()
    )


def _key(place: str, value: Schema, found: Schema) -> str:
    """Return the description of a key, as an entry of a list of definitions that a link can lead to."""
    text = next((each["description"] for each in (value, *value.get("anyOf", ())) if "description" in each), "")
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
    return "" if default is None or "$ref" in value else f", default `{json.dumps(default)}`"


def _kind(value: Schema) -> str:
    """Return what a value can be, in words."""
    if "$ref" in value:
        return "keys below"
    if "anyOf" in value:
        return " or ".join(_kind(choice) for choice in value["anyOf"] if choice.get("type") != "null")
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


# The Python interface


def python() -> str:
    """Return directives of mkdocstrings for all public names."""
    functions, classes = [], []
    for name in sorted(set(zenfront.__all__) - {"__version__"}):
        value = getattr(zenfront, name)
        if isinstance(value, ModuleType):
            continue
        directive = f"::: {value.__module__}.{value.__qualname__}\n    options:\n      heading: zenfront.{name}\n"
        (classes if isinstance(value, type) else functions).append(directive)
    return PYTHON + "## Functions\n\n" + "\n".join(functions) + "\n## Classes\n\n" + "\n".join(classes)


PYTHON = """# Python interface

`import zenfront as zf` gives these names; [Zenfront from Python](../python.md) shows them at work. `zf.spaces` and
`zf.proxies` list and load search spaces and scores: `names()` and `load(name)`.

"""
