"""What documents, help texts and messages tell a user to type exists, with its options."""

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

from zenfront.pipeline.cli.app import app
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config_file import load_experiment

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
SOURCES = sorted(
    path for folder in ("zenfront", "pipeline", "spaces", ".ci") for path in ROOT.glob(f"{folder}/**/*.py")
)
SETTINGS = sorted(
    path
    for path in [ROOT / "Justfile", *ROOT.glob("tune_configs/**/*")]
    if path.is_file() and path.suffix in ("", ".yaml", ".sh")
)
JUSTFILE = (ROOT / "Justfile").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^([a-z][a-z-]*)[^:\n]*:(?!=).*\n((?: {4}.*\n)*)", JUSTFILE, re.MULTILINE))
GROUP: Any = typer.main.get_command(app)  # of the click that typer carries along
PLACEHOLDER = "NAME"
Command = list[str]
Blocks = Callable[[Path], list[Any]]


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _commands(lines: Iterator[str] | list[str]) -> Iterator[Command]:
    """Yield the commands of lines of a shell, as words; several may be joined by && or ;."""
    for line in lines:
        for part in re.split("&&|;|·", line):
            text = re.sub(r"(^|\s)#.*|^\s*(?:[A-Z_]+=\S+\s+)+", "", part).strip()
            if re.match(r"(?:just|zenfront) \S", text):
                yield shlex.split(text)


def _in_backticks(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def _of_document(path: Path, blocks: Blocks) -> Iterator[Command]:
    """Yield the commands in blocks of code and in inline code."""
    lines = [line for block in blocks(path) for line in block.text.replace("\\\n", " ").splitlines()]
    yield from _commands(lines + _in_backticks(path.read_text(encoding="utf-8")))


def _of_source(path: Path) -> Iterator[Command]:
    """Yield the commands in backticks in all strings; what an f-string inserts becomes a placeholder."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _commands(_in_backticks(node.value))
        elif isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else PLACEHOLDER for p in node.values)
            yield from _commands(_in_backticks("".join(map(str, parts))))


def _of_help(command: Any) -> Iterator[Command]:
    """Yield the commands of the examples below a help text, and of its subcommands' help texts."""
    text = command.epilog or ""
    yield from _commands(re.sub(r"^Examples?: ", "", text).splitlines())
    yield from _commands(_in_backticks(text))
    for inner in getattr(command, "commands", {}).values():
        yield from _of_help(inner)


def _problem(words: Command) -> str | None:
    """Return what is wrong with a command, or None."""
    tool, verb, *rest = words
    if verb == PLACEHOLDER or verb.isupper() or "|" in verb:
        names = set(RECIPES if tool == "just" else GROUP.commands)
        return None if "|" not in verb or set(verb.split("|")) <= names else f"not all of {verb} exist"
    if tool == "just":
        if verb not in RECIPES:
            return f"no recipe {verb}"
        called = re.search(r'/zenfront" ([a-z]+) "\$@"', RECIPES[verb])
        return _problem_of(GROUP, [called[1], *rest]) if called else None
    return _problem_of(GROUP, [verb, *rest])


def _problem_of(command: Any, words: Command) -> str | None:
    """Return the first word that a command does not take, or None; an override must be a key of an experiment."""
    if words and not words[0].startswith("-") and (commands := getattr(command, "commands", None)):
        inner = commands.get(words[0])
        return _problem_of(inner, words[1:]) if inner else f"no command {words[0]}"
    options = {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}
    for position, word in enumerate(words):
        if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in options:
            return f"no option {word}"
        value = words[position + 1] if word == "--set" else ""
        if "=" in value and "..." not in value:
            try:
                load_experiment("smoke", [value])
            except UserError as error:
                return str(error)
        if word.endswith(".yaml") and "/" in word and "*" not in word and not (ROOT / word).exists():
            return f"no file {word}"
    return None


def _unparsed(words: Command) -> str | None:
    """Return the message of the parser of the command line, or None."""
    command, name = GROUP, "zenfront"
    while commands := getattr(command, "commands", None):
        if not words or words[0] not in commands:
            return None
        name, *words = words
        command = commands[name]
    try:
        command.make_context(name, list(words))
    except Exception as error:  # of the click that typer carries along
        return str(getattr(error, "message", error))
    return None


def _wrong(place: str, commands: Iterator[Command]) -> list[str]:
    return [f"{place}: {shlex.join(words)}: {problem}" for words in commands if (problem := _problem(words))]


def test_the_recipes_are_those_of_the_issue() -> None:
    stages = {"search", "select", "train", "report"}
    assert stages | {"setup", "run", "ui", "test", "test-fast", "check", "bench", "docs"} <= set(RECIPES)


def test_a_command_that_does_not_exist_is_found() -> None:
    wrong = [
        "zenfront serch",
        "zenfront config chek x",
        "just serch",
        "zenfront run --adress auto",
        "just train --sets a=1",
    ]
    wrong += ["zenfront run --set search.populatoin=3", "zenfront run tune_configs/none.yaml", "zenfront run|serch"]
    assert [line for line in wrong if not _problem(line.split())] == []


def test_a_command_in_a_document_exists(blocks: Blocks) -> None:
    assert sum(1 for path in DOCUMENTS for _ in _of_document(path, blocks)) > 50
    assert [line for path in DOCUMENTS for line in _wrong(_shown(path), _of_document(path, blocks))] == []


def test_a_command_in_a_block_has_all_that_it_needs(blocks: Blocks) -> None:
    """Parsed as the command line is: a required option, the number of arguments, the kinds of values."""
    found = [
        (block.place, words)
        for path in DOCUMENTS
        for block in blocks(path)
        if block.language == "sh"
        for words in _commands(block.text.replace("\\\n", " ").splitlines())
        if words[0] == "zenfront"
    ]
    assert len(found) > 20
    assert [f"{place}: {shlex.join(words)}: {p}" for place, words in found if (p := _unparsed(words[1:]))] == []


def test_a_command_in_a_message_or_a_docstring_exists() -> None:
    assert sum(1 for path in SOURCES for _ in _of_source(path)) > 10
    assert [line for path in SOURCES for line in _wrong(_shown(path), _of_source(path))] == []


def test_a_command_in_the_justfile_or_in_a_configuration_exists() -> None:
    def commands(path: Path) -> Iterator[Command]:
        lines = re.sub(r"^#\s*", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).splitlines()
        return _commands([*_in_backticks("\n".join(lines)), *lines])

    assert [line for path in SETTINGS for line in _wrong(_shown(path), commands(path))] == []


def test_an_example_of_a_help_text_exists() -> None:
    assert sum(1 for _ in _of_help(GROUP)) > 15
    assert _wrong("help", _of_help(GROUP)) == []
