"""JSON documents: read with one message for whatever is wrong, written whole or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.files.regular_file import regular_only
from zenfront.pipeline.record.files.whole_file import write_whole

Value = TypeVar("Value")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        UserError: The file cannot be read, or holds no JSON object.
    """
    try:
        with open(path, encoding="utf-8", opener=regular_only) as file:
            value = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read ({error}). Restore it, or delete it and run its stage again."
        ) from error
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a JSON object. Restore it, or delete it and run its stage again.")
    return value


def read_document(path: Path, from_row: Callable[[object], Value]) -> Value | None:
    """Return the value that a JSON file holds, or None if there is no such file.

    Args:
        path: Path of the file.
        from_row: Makes the value of the parsed object, such as `Front.from_row`.

    Raises:
        UserError: The file cannot be read or holds no such value.
    """
    if not path.exists():
        return None
    row = read_json(path)
    try:
        return from_row(row)
    except ValueError as error:
        raise UserError(f"{path}: {error}. Restore it, or delete it and run its stage again.") from error


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all.

    Raises:
        UserError: The file cannot be written.
        ValueError: The value holds a number that is not finite.
    """
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    try:
        with write_whole(path) as aside:
            aside.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}.") from error
