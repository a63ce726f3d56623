"""Read tables of image paths and labels: .csv, .tsv and metadata.jsonl."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.training.images.reading.parquet import missing_column
from zenfront.pipeline.training.images.reading.rows import ImageFile, Rows

LARGEST = 2**28
"""Bytes that a table of paths may have."""
FILE_NAME = "file_name"
"""Column of the paths in the metadata of an image folder, as Hugging Face `datasets` names it."""
INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
Table = tuple[list[str], list[dict[str, Any]]]


def read_paths(path: Path, root: Path, image: str, label: str) -> Rows:
    """Return the images that a table names by their paths, relative to the table.

    Args:
        path: The table.
        root: Folder of the data set, which the files must lie in.
        image: Column of the paths.
        label: Column of the labels; if all are whole numbers, they are integers, otherwise texts.

    Raises:
        UserError: The table cannot be read, or lacks a column.
    """
    names, rows = read_table(path)
    for key, column in (("image", image), ("label", label)):
        if names.count(column) != 1:
            raise UserError(missing_column(path, names, key, column))
    folder = path.parent.resolve()
    return Rows(
        place=str(path),
        images=[_file(root, folder, row[image]) for row in rows],
        labels=_labels([row[label] for row in rows]),
        where=lambda row: f"{path}, line {rows[row]['']} ({str(rows[row][image])[:200]})",
        key=f"column {label!r}",
    )


def read_table(path: Path) -> Table:
    """Return the columns and the rows of a table; the key ``""`` of a row is its line.

    Raises:
        UserError: The table is too large, no text, or no table.
    """
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path}: a table of paths may have {LARGEST:,} bytes, but this file has more. Use parquet.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        return _json_lines(text) if path.suffix == ".jsonl" else _separated(text)
    except (ValueError, csv.Error) as error:  # no UTF-8, no JSON, a field that is too long
        raise UserError(
            f"{path}: the table cannot be read ({error}). Save it as UTF-8 text, one row a line."
        ) from error


def _separated(text: str) -> Table:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True)
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    return names, [row | {"": reader.line_num} for row in reader]


def _json_lines(text: str) -> Table:
    rows = [json.loads(line) | {"": number} for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    return [name for name in (rows[0] if rows else {}) if name], [dict.fromkeys(rows[0]) | row for row in rows]


def _file(root: Path, folder: Path, path: Any) -> ImageFile | None:
    if not isinstance(path, str) or not path.strip():
        return None
    return ImageFile(root, str(folder / (path if "/" in path else path.replace("\\", "/"))))  # written on Windows


def _labels(labels: Sequence[Any]) -> list[Any]:
    texts = [label.strip() if isinstance(label, str) else label for label in labels]
    whole = all(isinstance(label, str) and INTEGER.fullmatch(label) for label in texts)
    return [int(label) for label in texts] if whole else texts
