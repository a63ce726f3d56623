"""Contents of a data set: parts, classes with names and numbers of images, sizes, modes."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from zenfront.pipeline.results.rows import CLOSED, Count, Text, read_row
from zenfront.pipeline.wording import number
from zenfront.spaces import Task

LISTED = 20
"""Classes up to which each one is listed."""


@dataclass(frozen=True)
class Part:
    """A part of a data set.

    Attributes:
        role: ``train``, ``validation`` or ``test``.
        place: Folder or file.
        counts: Number of images of each class.
    """

    __pydantic_config__ = CLOSED

    role: Text
    place: Text
    counts: tuple[Count, ...]

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(self.counts)


@dataclass(frozen=True)
class Overview:
    """Contents of a data set.

    Attributes:
        task: Task that the images are read for.
        classes: Names of the classes, in the order of the networks' outputs.
        parts: Parts; the validation images are among those of ``train`` unless they are a part.
        sizes: Number of images of each size, as ``height x width``.
        modes: Number of images of each mode of Pillow.
        notes: Lines for the user: what is left out, converted, absent or unbalanced.
    """

    __pydantic_config__ = CLOSED

    task: Task
    classes: tuple[Text, ...]
    parts: tuple[Part, ...]
    sizes: dict[Text, Count]
    modes: dict[Text, Count]
    notes: tuple[Text, ...]

    def listed(self) -> str:
        """Return the names of the classes with their numbers of images in each part, for display."""
        counts = zip(*(part.counts for part in self.parts), strict=True)
        classes = [f"{name} ({' + '.join(map(number, each))})" for name, each in zip(self.classes, counts, strict=True)]
        return ", ".join(classes[:LISTED]) + (f", ... ({len(classes):,} in all)" if len(classes) > LISTED else "")

    def to_row(self) -> dict[str, object]:
        """Return the overview as JSON objects."""
        row: dict[str, object] = _ADAPTER.dump_python(self, mode="json")
        return row

    @staticmethod
    def from_row(row: object) -> "Overview":
        """Return the overview that JSON objects stand for.

        Raises:
            ValueError: A key is missing or unknown, or has a wrong type.
        """
        return read_row(_ADAPTER, row)


_ADAPTER = TypeAdapter(Overview)
