"""Arrow files with one column of images, read row by row."""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from zenfront.pipeline.record.files.whole_file import write_whole

COLUMN = "image"


def write_shard(path: Path, batches: Iterable[pa.Array]) -> None:
    """Write arrays of images, at least one, as the record batches of an Arrow file, whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    with write_whole(path) as aside, pa.OSFile(str(aside), "wb") as file:
        writer: pa.RecordBatchFileWriter | None = None
        for images in batches:
            batch = pa.record_batch([images], names=[COLUMN])
            writer = writer or pa.ipc.new_file(file, batch.schema)
            writer.write_batch(batch)
        assert writer
        writer.close()


class Shards(Sequence[bytes]):
    """Rows of Arrow files, in the order of the files.

    A file is mapped only to find where each row begins. Rows are read with `preadv`: the pages of a mapping count as
    memory of every process that touches them, while the kernel's cache of a file is shared and counts for none.

    Args:
        paths: The files.

    Raises:
        Exception: A file is missing or damaged.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        found = [_places(path) for path in paths]
        self._start = np.concatenate([start for start, _ in found])
        self._size = np.concatenate([size for _, size in found])
        self._file = np.repeat(np.arange(len(paths), dtype=np.int32), [len(start) for start, _ in found])
        self._descriptors = [os.open(path, os.O_RDONLY) for path in paths]

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # at the end of a process `os` may be gone
        for descriptor in getattr(self, "_descriptors", ()):
            close(descriptor)

    def __len__(self) -> int:
        return len(self._start)

    @property
    def digest(self) -> str:
        """SHA-256 of the positions and the sizes of all rows, in hexadecimal digits."""
        return hashlib.sha256(
            self._start.astype(np.int64).tobytes() + self._size.astype(np.int64).tobytes()
        ).hexdigest()

    def __getitem__(self, row: int) -> bytes:  # type: ignore[override]
        into = bytearray(int(self._size[row]))
        self.read_into(row, memoryview(into))
        return bytes(into)

    def read_into(self, row: int, into: memoryview) -> None:
        """Read a row into memory of its size.

        Raises:
            OSError: The file was made shorter.
        """
        read, start = 0, int(self._start[row])
        while read < len(into):
            step = os.preadv(self._descriptors[self._file[row]], [into[read:]], start + read)
            if not step:
                raise OSError(f"row {row} of a file of stored images ends early")
            read += step


def _places(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the position and the size in bytes (rows,) of each row in a file."""
    starts, sizes = [], []
    with pa.memory_map(str(path)) as file:
        whole = file.read_buffer()
        reader = pa.ipc.open_file(pa.BufferReader(whole))
        for number in range(reader.num_record_batches):
            images = reader.get_batch(number).column(0)
            if pa.types.is_fixed_size_binary(images.type):
                limits = np.arange(len(images) + 1) * images.type.byte_width
            else:
                limits = np.frombuffer(images.buffers()[1], np.int32)[: len(images) + 1].astype(np.int64)
            starts.append(images.buffers()[-1].address - whole.address + limits[:-1])
            sizes.append(np.diff(limits))
    return np.concatenate(starts), np.concatenate(sizes)
