"""Predictions as a table: a row for each image with its class and the probabilities of all classes."""

import csv
from collections.abc import Sequence
from typing import TextIO

import numpy as np

from zenfront.pipeline.training.images.reading.rows import Rows

PREFIX = "p_"
"""Beginning of the names of the columns with probabilities: a class may be called ``file``."""


def write_table(file: TextIO, rows: Rows, names: Sequence[str], probabilities: np.ndarray) -> None:
    """Write predictions as CSV with the columns file, class and p_<class>.

    Args:
        file: Open file.
        rows: N images.
        names: Names of the K classes.
        probabilities: (N, K).
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["file", "class", *(PREFIX + name for name in names)])
    for row, each in enumerate(probabilities):
        writer.writerow([rows.where(row), names[int(each.argmax())], *(f"{p:.6g}" for p in each)])


def accuracy(rows: Rows, names: Sequence[str], probabilities: np.ndarray) -> float | None:
    """Return the fraction of the images whose class is the name of their folder; None if a folder is no class."""
    if not set(rows.labels) <= set(names):
        return None
    predicted = [names[index] for index in probabilities.argmax(1).tolist()]
    return float(np.mean([name == label for name, label in zip(predicted, rows.labels, strict=True)]))
