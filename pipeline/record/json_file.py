"""JSON documents that are written whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

from zenfront.pipeline.errors import UserError


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        UserError: It cannot be read, or holds something else: it was not written by us.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}). Restore it, or delete it and run its stage again."
        ) from error
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a JSON object. Restore it, or delete it and run its stage again.")
    return value


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file whole or not at all: aside, fsync, rename.

    Raises:
        UserError: It cannot be written.
    """
    aside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8") as file:
            json.dump(value, file, indent=1, allow_nan=False, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}.") from error
