"""Write images to a store, file by file, so that a writer that was killed goes on where it was."""

import json
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from zenfront.pipeline.record.files.whole_file import write_whole
from zenfront.pipeline.training.images.decoding.decoder import encoded
from zenfront.pipeline.training.images.decoding.form import Form
from zenfront.pipeline.training.images.reading.rows import ImageFile, Rows, Stored, fetched
from zenfront.pipeline.training.images.source import decode_row
from zenfront.pipeline.training.store._place import require_room, written_alone
from zenfront.pipeline.training.store._progress import Progress
from zenfront.pipeline.training.store._shards import Shards, write_shard

FILE = 2**26
"""Bytes of one file, which is what a writer that is killed does again."""
FILES = 128
"""Files of a store at most; those of a larger one are larger, since each is kept open by every reader."""
BATCH = 2**24
"""Bytes that are written together, and held in memory by the writer."""
SAMPLE = 256
"""Images from whose sizes that of a store of encoded images is estimated."""
DONE = "store.json"
"""File that is written last: the sizes of all others."""


def open_store(folder: Path) -> Shards | None:
    """Return the images of a store; None if it is not whole."""
    try:
        document: dict[str, Any] = json.loads((folder / DONE).read_text())
        sizes: dict[str, int] = document["files"]
        if all((folder / name).stat().st_size == size for name, size in sizes.items()):
            stored = Shards([folder / name for name in sizes])
            return stored if stored.digest == document["rows"] else None
    except Exception:  # of whatever a damaged file makes of JSON and of pyarrow
        pass
    return None


def write_store(folder: Path, rows: Rows, form: Form, *, is_encoded: bool = False) -> Shards:
    """Return the images of a store, after those that are missing were decoded and written.

    Args:
        folder: Folder of the store, named by `store_name`.
        rows: The images.
        form: Form that they get: each row of the store is one image (C, H, W), uint8.
        is_encoded: Write the bytes of their files instead, after a look whether they can get the form.

    Raises:
        UserError: An image is damaged or cannot get the form; the disk is full; the folder cannot be written.
    """
    if stored := open_store(folder):
        return stored
    with written_alone(folder):
        if stored := open_store(folder):  # another process has written it in the meantime
            return stored
        plan = _Plan(len(rows), _mean_size(rows) if is_encoded else form.height * form.width * form.channels)
        paths = [folder / name for name in plan.names]
        damaged = (folder / DONE).exists()  # it was whole
        missing = [n for n, path in enumerate(paths) if damaged or not _is_whole(path, plan.rows(n))]
        count = sum(len(plan.rows(number)) for number in missing)
        require_room(folder, count * plan.bytes)
        progress = Progress(f"images of {rows.place}", folder, len(rows), len(rows) - count, count * plan.bytes)
        with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as threads:
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata; what matters raises an error
            for number in missing:
                make = partial(_files if is_encoded else _pixels, rows, form, threads)
                write_shard(paths[number], _batches(plan, number, make, progress))
        stored, sizes = Shards(paths), {path.name: path.stat().st_size for path in paths}
        with write_whole(folder / DONE) as aside:
            aside.write_text(json.dumps({"source": rows.place, "files": sizes, "rows": stored.digest}))
        return stored


@dataclass(frozen=True)
class _Plan:
    """Division of a number of images of the same size into files."""

    images: int
    bytes: int

    @property
    def files(self) -> int:
        return min(self.images, FILES, -(-self.images * self.bytes // FILE))

    @property
    def names(self) -> list[str]:
        return [f"images-{number:05}-of-{self.files:05}.arrow" for number in range(self.files)]

    def rows(self, number: int) -> range:
        """Return the images of a file."""
        limits = [self.images * each // self.files for each in (number, number + 1)]
        return range(*limits)

    @property
    def together(self) -> int:
        return max(1, BATCH // self.bytes)


def _is_whole(path: Path, rows: range) -> bool:
    try:
        return len(Shards([path])) == len(rows)
    except Exception:  # of whatever a damaged file makes of pyarrow
        return False


def _batches(plan: _Plan, number: int, make: Callable[[range], pa.Array], progress: Progress) -> Iterator[pa.Array]:
    chosen = plan.rows(number)
    for start in range(chosen.start, chosen.stop, plan.together):
        few = range(start, min(start + plan.together, chosen.stop))
        yield make(few)
        progress.add(len(few))


def _pixels(rows: Rows, form: Form, threads: ThreadPoolExecutor, few: range) -> pa.Array:
    found = list(threads.map(lambda row: decode_row(rows, row, form), few))
    pixels = np.ascontiguousarray(np.stack(found).transpose(0, 3, 1, 2))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(pixels[0].nbytes), len(few), [None, pa.py_buffer(pixels)])


def _files(rows: Rows, form: Form, threads: ThreadPoolExecutor, few: range) -> pa.Array:
    def read(row: int) -> bytes:
        decode_row(rows, row, form)
        return encoded(rows.images[row])

    return pa.array(list(threads.map(read, few)), pa.binary())


def _mean_size(rows: Rows) -> int:
    """Return the mean number of bytes of encoded images, of a sample."""
    sample = np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(int)).tolist()
    return max(1, sum(_size(rows.images[row]) for row in sample) // len(sample))


def _size(stored: Stored) -> int:
    stored = fetched(stored)
    if isinstance(stored, ImageFile):
        with suppress(OSError, ValueError):
            return (stored.root / stored.path).stat().st_size
    return stored.nbytes if isinstance(stored, np.ndarray) else len(stored) if isinstance(stored, bytes) else 0
