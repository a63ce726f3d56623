"""Find out what kind of data a source is, and where its parts are."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.images.reading.csv_tables import FILE_NAME, read_paths, read_table
from zenfront.pipeline.training.images.reading.folders import entries, folders, is_folder, is_image, read_classes
from zenfront.pipeline.training.images.reading.parquet import class_names, read_large_parquet, read_parquet
from zenfront.pipeline.training.images.reading.rows import Role, Rows
from zenfront.pipeline.training.images.reading.tar import read_tar

NAMES: Mapping[Role, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
"""Names of the parts, whatever their case."""
TABLES = (".parquet", ".tar", ".csv", ".tsv")
IN_MEMORY = 2**28
"""Bytes of the parquet files of a part up to which their images are kept in memory until they are decoded."""
METADATA = ("metadata.csv", "metadata.jsonl")
FORMS = (
    "Zenfront reads class folders (train/CLASS/*.png and test/CLASS/*.png, or CLASS/*.png alone), parquet files "
    "(train.parquet and test.parquet with images in PNG or JPEG) and .csv files of paths and labels; see docs/data.md"
)
FOREIGN = {
    ".arrow": "Write parquet in Python: datasets.load_from_disk(FOLDER)['train'].to_parquet('train.parquet')",
    ".npz": "Write each array as PIL.Image.fromarray(image).save(f'train/{label}/{i}.png')",
    ".npy": "Write each array as PIL.Image.fromarray(image).save(f'train/{label}/{i}.png')",
    ".mat": "Write each array as PIL.Image.fromarray(image).save(f'train/{label}/{i}.png')",
    ".h5": "Write each array as PIL.Image.fromarray(image).save(f'train/{label}/{i}.png')",
    ".zip": "Unpack it",
    ".gz": "Unpack it",
    ".tgz": "Unpack it",
    ".tfrecord": "Write each image as a PNG in a folder of its class",
    ".pkl": "Write each array as PIL.Image.fromarray(image).save(f'train/{label}/{i}.png')",
}
"""Conversion of data that are not read, by the suffix of a file."""


@dataclass(frozen=True)
class Layout:
    """Parts of a data set.

    Attributes:
        parts: Function that reads a part, by its role; data without parts have ``train`` alone.
        place: Name of the data for messages.
        notes: Lines for the user.
    """

    parts: Mapping[Role, Callable[[], Rows]]
    place: str
    notes: tuple[str, ...] = ()


def find_layout(path: Path, data: Data) -> Layout:
    """Return the parts of local data.

    Raises:
        UserError: The file or folder holds nothing that is read. The message says how to convert it.
    """
    if path.is_file():
        return Layout({"train": _table_reader([path], path.parent, data)}, str(path))
    for folder in (path, path / "data"):
        if folder.is_dir() and (tables := _tables(folder)):
            readers = {role: _table_reader(files, path, data) for role, files in tables.items()}
            return Layout(readers, str(path))
    parts = _part_folders(path)
    if "train" in parts:
        chosen = {role: _folder_reader(folder, path, data) for role, folder in parts.items()}
        return Layout(chosen, str(path), tuple(_not_used(path, list(parts.values()))))
    if any(_holds_images(path / name) for name in folders(path)):
        return Layout({"train": lambda: read_classes(path, path)}, str(path))
    if any((path / name).is_file() for name in METADATA):
        return Layout({"train": _folder_reader(path, path, data)}, str(path))
    raise UserError(_nothing(path))


def _tables(folder: Path) -> dict[Role, list[Path]]:
    """Return the tables of each part: by their names, or else all as one."""
    files = [
        folder / entry.name
        for entry in entries(folder)
        if entry.name.lower().endswith(TABLES) and not entry.name.startswith(".") and entry.name not in METADATA
    ]
    for suffix in TABLES:
        same = [file for file in files if file.name.lower().endswith(suffix)]
        parts = {role: [file for file in same if _role(file.name) == role] for role in NAMES}
        if found := {role: files for role, files in parts.items() if files}:
            if "train" not in found:
                raise UserError(
                    f"{folder}: there is a table for {' and '.join(found)}, but none for train. Restore it."
                )
            return found
        if same and (suffix in (".parquet", ".tar") or len(same) == 1):
            return {"train": same}
    return {}


def first_table(path: Path) -> Path | None:
    """Return the table of the training data, if they are a table."""
    if path.is_file():
        return path
    for folder in (path, path / "data"):
        if folder.is_dir() and (tables := _tables(folder)):
            return tables["train"][0]
    folder = _part_folders(path).get("train", path)
    return next((folder / e.name for e in entries(folder) if e.name.endswith(".parquet") or e.name in METADATA), None)


def _role(name: str) -> Role | None:
    """Return the part that a file name stands for: its first word, or of a shard of WebDataset any word."""
    words = re.split(r"[-_.\s]", name.lower())
    looked_at = words if words[-1] == "tar" else words[:1]
    return next((role for role, names in NAMES.items() if set(looked_at) & set(names)), None)


def _part_folders(path: Path) -> dict[Role, Path]:
    found: dict[Role, Path] = {}
    for entry in entries(path):
        role = next((role for role, names in NAMES.items() if entry.name.lower() in names), None)
        if role and is_folder(path / entry.name):
            if role in found:
                raise UserError(
                    f"{path}: both {found[role].name}/ and {entry.name}/ may be the {role} data. Rename or merge them."
                )
            found[role] = path / entry.name
    return found


def _folder_reader(folder: Path, root: Path, data: Data) -> Callable[[], Rows]:
    def read() -> Rows:
        names_ = [entry.name for entry in entries(folder)]
        if files := [folder / name for name in names_ if name.lower().endswith((".parquet", ".tar"))]:
            return _table_reader(files, root, data)()
        table = next((folder / name for name in METADATA if (folder / name).is_file()), None)
        if table is None:
            return read_classes(folder, root)
        names, _ = read_table(table)
        if data.label in names:
            rows = read_paths(table, root, data.image if data.image in names else FILE_NAME, data.label)
            return replace(rows, notes=tuple(_unlisted(folder, len(rows))))
        if not folders(folder):
            read_paths(table, root, FILE_NAME, data.label)  # raises: the column is missing
        others = ", ".join(name for name in names if name != FILE_NAME)
        rows = read_classes(folder, root)
        note = f"{table}: not used, the folders are the classes; to use its columns ({others}), set train.data.label"
        return replace(rows, notes=(*(n for n in rows.notes if table.name not in n), note))

    return read


def _unlisted(folder: Path, listed: int) -> Iterator[str]:
    there = sum(is_image(Path(name)) for _, _, names in os.walk(folder) for name in names)
    if there > listed:
        yield f"{folder}: left out {there - listed:,} images that its metadata do not list"


def _table_reader(files: Sequence[Path], root: Path, data: Data) -> Callable[[], Rows]:
    def read() -> Rows:
        for file in files:
            if not file.name.lower().endswith(TABLES):
                raise UserError(f"{file}: the file is no table that is read. {conversion([file.name])}")
        if files[0].name.lower().endswith(".tar"):
            return _joined([_tar_rows(file, data) for file in files])
        if not files[0].name.lower().endswith(".parquet"):
            return _joined([read_paths(file, root.resolve(), data.image, data.label) for file in files])
        large = sum(file.stat().st_size for file in files) > IN_MEMORY
        return _joined([_parquet_rows(file, root, data, large) for file in files])

    return read


def _tar_rows(file: Path, data: Data) -> Rows:
    images, labels, keys = read_tar(file, data.image, data.label)
    return Rows(
        place=str(file),
        images=images,
        labels=labels,
        where=lambda row: f"{file}, sample {keys[row]}",
        key=f"{data.label!r} of the samples",
    )


def _parquet_rows(file: Path, root: Path, data: Data, large: bool) -> Rows:
    read = read_large_parquet if large else read_parquet
    images, labels = read(file, file.parent, root, data.image, data.label)
    return Rows(
        place=str(file),
        images=images,
        labels=labels,
        where=lambda row: f"{file}, row {row}",
        key=f"column {data.label!r}",
        column=data.image,
        names=class_names(file, data.label),
    )


def _joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of all files of a part."""
    if len(parts) == 1:
        return parts[0]
    places = [(part, row) for part in parts for row in range(len(part))]
    return Rows(
        place=f"{parts[0].place} and {len(parts) - 1} more",
        images=[image for part in parts for image in part.images],
        labels=[label for part in parts for label in part.labels],
        where=lambda row: places[row][0].where(places[row][1]),
        key=parts[0].key,
        column=parts[0].column,
        names=parts[0].names if len({part.names for part in parts}) == 1 else None,
        notes=tuple(note for part in parts for note in part.notes),
    )


def _holds_images(folder: Path) -> bool:
    return any(is_image(folder / entry.name) for entry in entries(folder))


def _not_used(folder: Path, used: Sequence[Path]) -> Iterator[str]:
    names = {path.name for path in used}
    if left := [name for name in folders(folder) if name not in names]:
        shown = ", ".join(f"{name}/" for name in left[:5])
        yield f"{folder}: left out {shown}, which {'is' if len(left) == 1 else 'are'} no part"


def _nothing(path: Path) -> str:
    names = [entry.name for entry in entries(path)]
    shown = ", ".join(names[:5]) + (f", ... ({len(names):,} in all)" if len(names) > 5 else "")
    inside = [name for name in folders(path) if _readable(path / name)]
    if inside:
        more = " or ".join(str(path / name) for name in inside[:5])
        return f"train.data.source {path}: the folder holds data sets. Name one: train.data.source={more}"
    found = f"but it holds {shown}" if names else "but it is empty"
    return f"train.data.source {path}: the folder must hold images or tables, {found}. {conversion(names)}"


def _readable(folder: Path) -> bool:
    return bool(_tables(folder)) or "train" in _part_folders(folder)


def conversion(names: Sequence[str]) -> str:
    """Return how files of these names are brought to a form that is read."""
    suffixes = [Path(name).suffix.lower() for name in names]
    how = next((FOREIGN[suffix] for suffix in suffixes if suffix in FOREIGN), None)
    return f"{how}. {FORMS}." if how else f"{FORMS}."
