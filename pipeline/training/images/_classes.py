"""Classes of a data set: names in a fixed order, whatever the labels are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.training.images.reading.rows import Rows
from zenfront.pipeline.wording import clean

SKEWED = 5
"""Ratio of the largest to the smallest class above which the user is warned."""
SHOWN = 10
"""Classes that a message names."""


@dataclass(frozen=True)
class Classes:
    """Classes of a data set.

    Attributes:
        values: Labels as they are stored, in the order of the networks' outputs.
        names: Their names.
        place: Training data that have them, for messages.
    """

    values: tuple[Any, ...]
    names: tuple[str, ...]
    place: str

    def __len__(self) -> int:
        return len(self.values)

    def indices(self, rows: Rows) -> np.ndarray:
        """Return the class of each row, (N,) int64 in 0 .. classes - 1.

        Raises:
            UserError: A row has no label, or one that the training data do not have.
        """
        position = {value: index for index, value in enumerate(self.values)}
        labels = stored_labels(rows)
        odd = [row for row, label in enumerate(labels) if label not in position]
        if odd:
            counts = Counter(labels[row] for row in odd)
            raise UserError(
                f"{rows.where(odd[0])}: {rows.place} has {_listed(list(counts))}, which {self.place} does not have "
                f"({_counted(len(odd), 'image')} of {len(rows):,}). {self.place} has {_listed(self.values)}."
                f"{_near(next(iter(counts)), self.values)} Remove or rename the class, or add training images of it."
            )
        return np.array([position[label] for label in labels], dtype=np.int64)


def classes_of(train: Rows) -> Classes:
    """Return the classes of the training data: those that the data name, or else the sorted labels.

    Integers from 0 on that the data name keep their names. Other labels are sorted, as numbers or as texts.

    Raises:
        UserError: A row has no label, or one that is no class.
    """
    labels = stored_labels(train)
    found = set(labels)
    if train.names and found <= set(range(len(train.names))):
        values: Sequence[Any] = range(len(train.names))
        names: Sequence[str] = train.names
    else:
        values = sorted(found)
        names = [str(value) for value in values]
    if len(found) < 2:
        raise UserError(f"{train.place}: there must be at least two classes, but got {_listed(sorted(found))}.")
    return Classes(tuple(values), tuple(map(clean, names)), train.place)


def check_classes(classes: Classes, train: Rows, wanted: int) -> None:
    """Check that the training data have each class of the task.

    Raises:
        UserError: They have more or fewer classes.
    """
    found = Counter(stored_labels(train))
    if len(classes) != wanted:
        rarest = min(found, key=lambda value: found[value])
        row = stored_labels(train).index(rarest)
        raise UserError(
            f"task.classes: {train.place}, {train.key}: there are {len(found)} classes, but `task.classes` is "
            f"{wanted}. Found {_listed(classes.names)}; the rarest, {rarest!r}, has "
            f"{_counted(found[rarest], 'image')}, the first at {train.where(row)}. Set task.classes={len(classes)}, or "
            "correct the labels."
        )
    for value, name in zip(classes.values, classes.names, strict=True):
        if value not in found:
            raise UserError(
                f"{train.place}, {train.key}: each of the {wanted} classes must occur, but class {name!r} does not. "
                "Remove it from the names, or add images of it."
            )


def stored_labels(rows: Rows) -> list[Any]:
    """Return the labels as integers, or all as texts.

    Raises:
        UserError: A row has no label, a negative one, or one that is no class.
    """
    labels = [_plain(label) for label in rows.labels]
    kinds = {type(label) for label in labels}
    if kinds <= {int} and min(labels, default=0) >= 0:
        return labels
    for row, label in enumerate(labels):
        if label is None or label == "" or (type(label) is int and label < 0) or type(label) not in (int, str):
            raise UserError(f"{rows.where(row)}, {rows.key}: {_unfit(rows.labels[row])}")
    if len(kinds) > 1:
        row = next(row for row, label in enumerate(labels) if type(label) is not type(labels[0]))
        raise UserError(
            f"{rows.where(row)}, {rows.key}: labels must be all integers or all texts, but got {labels[row]!r} after "
            f"{labels[0]!r}. Write them in one way."
        )
    return labels


def _plain(label: Any) -> Any:
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, float) and label.is_integer():
        return int(label)
    return label.strip() if isinstance(label, str) else label


def _unfit(label: Any) -> str:
    shown = repr(label)[:100]
    if label is None or label == "" or label != label:
        return f"a label is missing (got {shown}). Label the row, or remove it."
    if isinstance(label, int) and label < 0:
        return (
            f"a label must not be negative, but got {shown}, which often marks rows without a label. Remove "
            "them; a test part that nobody labelled is left out with --set train.data.test=validation, or 0.2."
        )
    return (
        f"a label must be an integer or a text, but got {shown}. Convert the column, for instance with `astype(str)`."
    )


def _near(value: Any, known: Sequence[Any]) -> str:
    same = [other for other in known if str(other).casefold().strip("_- ") == str(value).casefold().strip("_- ")]
    return f" Is it {same[0]!r}?" if same else ""


def _listed(values: Sequence[Any]) -> str:
    """Return ``the class 'ant'`` or ``the classes 'ant', 'bee', ... (12 in all)``."""
    shown = ", ".join(repr(value) for value in values[:SHOWN]) or "none"
    more = f", ... ({len(values):,} in all)" if len(values) > SHOWN else ""
    return f"{'the class' if len(values) == 1 else 'the classes'} {shown}{more}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
