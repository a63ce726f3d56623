"""Images of parquet files that are too large to be held in memory, read when they are needed."""

import threading
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zenfront.pipeline.training.images.reading.rows import Stored

KEPT = 2
"""Batches of rows that are kept in memory: several threads read rows that are near each other."""


Images = Callable[[pa.RecordBatch], list[Stored]]


class LargeParquet:
    """Images of a parquet file, which are read a batch at a time: forwards from row to row, or anew from a row group.

    Args:
        path: The file.
        leaves: Columns to read.
        texts: Columns that are read as dictionaries.
        rows: Rows of a batch.
        images: Function that returns the images of a batch.
    """

    def __init__(self, path: Path, leaves: list[str], texts: list[str], rows: int, images: Images) -> None:
        self.path, self._leaves, self._texts, self._rows, self._images = path.absolute(), leaves, texts, rows, images
        metadata = pq.read_metadata(path)
        counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts = [0, *accumulate(counts)]
        self._lock = threading.Lock()
        self._kept: dict[int, list[Stored]] = {}
        self._batches: Iterator[tuple[int, list[Stored]]] = iter(())
        self._next = 0

    def identity(self) -> str:
        """Return what changes with the file."""
        found = self.path.stat()
        return f"{self.path} {found.st_size} {found.st_mtime_ns}"

    def read(self, row: int) -> Stored:
        """Return an image."""
        with self._lock:
            while (found := self._find(row)) is None:
                if not (self._next <= row < self._next + 64 * self._rows) or not self._advance():
                    self._begin(row)
            return found[0]

    def _find(self, row: int) -> tuple[Stored] | None:
        return next(
            ((images[row - start],) for start, images in self._kept.items() if start <= row < start + len(images)), None
        )

    def _advance(self) -> bool:
        for start, images in self._batches:
            self._kept = dict([*self._kept.items(), (start, images)][-KEPT:])
            self._next = start + len(images)
            return True
        return False

    def _begin(self, row: int) -> None:
        group = next(index for index, end in enumerate(self._starts[1:]) if row < end)
        self._batches, self._next = self._read_from(group), self._starts[group]

    def _read_from(self, first: int) -> Iterator[tuple[int, list[Stored]]]:
        with pq.ParquetFile(self.path, read_dictionary=self._texts, memory_map=False) as file:
            for group in range(first, file.num_row_groups):
                start = self._starts[group]
                options: dict[str, Any] = {"batch_size": self._rows, "columns": self._leaves, "use_threads": False}
                for batch in file.iter_batches(row_groups=[group], **options):
                    yield start, self._images(batch)
                    start += len(batch)
