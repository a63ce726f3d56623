"""The reference of the command line, from the help of its commands."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from zenfront.pipeline.cli.app import app


def commands() -> str:
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
