"""Labelled images of one part of a data set, before they are decoded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

Role = Literal["train", "validation", "test"]
ROLES: tuple[Role, ...] = ("train", "validation", "test")


class ImageFile(NamedTuple):
    """A file that a data set names.

    Attributes:
        root: Folder that the file must lie in, also after links are followed.
        path: Absolute, or relative to the folder.
    """

    root: Path
    path: str


class Container(Protocol):
    """A file with many images, which are read when they are needed."""

    def identity(self) -> str:
        """Return a text that changes with the file."""

    def read(self, place: int) -> "Stored":
        """Return the image at a place."""


class Cell(NamedTuple):
    """An image in a container.

    Attributes:
        container: The container.
        place: Place of the image in it.
    """

    container: Container
    place: int


Stored = bytes | ImageFile | Cell | np.ndarray | None
"""An encoded image, its file or its place in one, its pixels as (H, W) or (H, W, C) uint8, or nothing."""


def fetched(stored: Stored) -> bytes | ImageFile | np.ndarray | None:
    """Return an image after it was read from its container, if it is in one."""
    while isinstance(stored, Cell):
        stored = stored.container.read(stored.place)
    return stored


@dataclass(frozen=True)
class Rows:
    """Labelled images of a part.

    Attributes:
        place: Folder or file that holds them, for messages.
        images: N images.
        labels: N labels as they are stored: integers or texts, or whatever stands there.
        where: Place of a row, for messages.
        key: Source of the label, for messages: ``column 'label'`` or ``class folders``.
        column: Column of the images, if they have one.
        names: Names of the labels 0, 1, ..., if the data state them.
        notes: Lines for the user: what was left out, followed or not used.
    """

    place: str
    images: Sequence[Stored]
    labels: Sequence[Any]
    where: Callable[[int], str]
    key: str
    column: str | None = None
    names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.images)

    def place_of(self, row: int) -> str:
        """Return the place of an image, for messages."""
        return f"{self.where(row)}, column {self.column!r}" if self.column else self.where(row)

    def take(self, indices: np.ndarray) -> "Rows":
        """Return some of the rows."""
        chosen, where = indices.tolist(), self.where
        return replace(
            self,
            images=[self.images[index] for index in chosen],
            labels=[self.labels[index] for index in chosen],
            where=lambda row: where(chosen[row]),
        )
