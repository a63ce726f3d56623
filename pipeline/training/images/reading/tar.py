"""Read shards of WebDataset: tar files whose members KEY.jpg and KEY.cls, or KEY.json, are an image and its class."""

import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.training.images.decoding.form import LARGEST_FILE
from zenfront.pipeline.training.images.reading.csv_tables import INTEGER
from zenfront.pipeline.training.images.reading.folders import EXTENSIONS
from zenfront.pipeline.training.images.reading.rows import Cell, Stored

LARGEST_LABEL = 2**16
"""Bytes that a member with a label may have."""
CLASS, JSON = "cls", "json"
FORM = "KEY.jpg beside KEY.cls, which holds the class, or KEY.json, an object with the class under `train.data.label`"


@dataclass(frozen=True)
class TarFile:
    """A tar file of which members are read when they are needed.

    Attributes:
        path: The file.
        sizes: Size in bytes of the members at their positions in the file.
    """

    path: Path
    sizes: Mapping[int, int]

    def identity(self) -> str:
        """Return what changes with the file."""
        found = self.path.stat()
        return f"{self.path} {found.st_size} {found.st_mtime_ns}"

    def read(self, place: int) -> Stored:
        """Return the member at a position.

        Raises:
            UserError: It is too large for an image.
        """
        if self.sizes[place] > LARGEST_FILE:
            raise UserError(f"an encoded image has at most {LARGEST_FILE:,} bytes, but this one {self.sizes[place]:,}.")
        with self.path.open("rb") as file:
            return os.pread(file.fileno(), self.sizes[place], place)


def read_tar(path: Path, image: str, label: str) -> tuple[list[Stored], list[Any], list[str]]:
    """Return images, raw labels and keys of a shard; members that have neither are passed over.

    Args:
        path: An uncompressed tar file.
        image: Extension of the images; that of any image that is read if no member has it.
        label: Extension of the labels, or their name in the members with JSON; ``cls`` is read if there is neither.

    Raises:
        UserError: A sample has no class, or there is no sample.
        Exception: The file is damaged.
    """
    sizes: dict[int, int] = {}
    tar = TarFile(path.absolute(), sizes)
    images: dict[str, tuple[str, int]] = {}
    labels: dict[str, Any] = {}
    with _opened(path) as file:
        for member in _members(file):
            folder, _, name = member.name.rpartition("/")
            key, _, extension = name.partition(".")
            key = f"{folder}/{key}" if folder else key
            if extension == image or (
                f".{extension.lower()}".endswith(EXTENSIONS) and images.get(key, ("",))[0] != image
            ):
                images[key] = extension, member.offset_data
                sizes[member.offset_data] = member.size
            elif extension in (CLASS, JSON, label) and member.size <= LARGEST_LABEL:
                content = file.extractfile(member)
                assert content
                try:
                    value = _label(content.read(), extension, label)
                except ValueError as error:
                    raise UserError(f"{path}, sample {key}: its {extension} cannot be read ({error}).") from error
                if value is not None:
                    labels[key] = value
        _require_end(file, path)
    if not images:
        raise UserError(f"{path}: there is no image. A sample of WebDataset is {FORM}. Else unpack the file.")
    if missing := [key for key in images if key not in labels]:
        raise UserError(
            f"{path}, sample {missing[0]}: there is no class, and so it is for {len(missing):,} of {len(images):,} "
            f"samples. A sample is {FORM}."
        )
    keys = list(images)
    return [Cell(tar, images[key][1]) for key in keys], [labels[key] for key in keys], keys


def _opened(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:")
    except tarfile.ReadError as error:
        raise UserError(
            f"{path}: it is no tar file, or a compressed one ({error}). Unpack what is compressed."
        ) from error


def _require_end(file: tarfile.TarFile, path: Path) -> None:
    """Check that the members go on to the block of zeros at the end: `tarfile` ends without a word at a damaged one."""
    assert file.fileobj
    file.fileobj.seek(file.offset)
    if file.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise UserError(f"{path}: the file is cut off or damaged at byte {file.offset:,}. Copy it anew.")


def _members(file: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the regular files; a member is forgotten when the next one is read, since a shard can hold millions."""
    while (member := file.next()) is not None:
        file.members.clear()  # type: ignore[attr-defined]  # of TarFile, though typeshed does not list it
        if member.isreg() and not member.issparse() and not Path(member.name).name.startswith("."):
            yield member


def _label(content: bytes, extension: str, label: str) -> Any:
    """Return an integer or a text; None if the member does not have the label."""
    if extension == JSON and label != JSON:
        value = json.loads(content)
        return value.get(label) if isinstance(value, dict) else None
    text = content.decode().strip()
    return int(text) if INTEGER.fullmatch(text) else text
