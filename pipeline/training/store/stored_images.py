"""Images of a store in the place of a tensor: rows are read when they are asked for, and ahead of the training."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.files.whole_file import write_whole
from zenfront.pipeline.training.images.decoding.form import Form
from zenfront.pipeline.training.images.reading.rows import Rows
from zenfront.pipeline.training.store._place import place
from zenfront.pipeline.training.store._shards import Shards
from zenfront.pipeline.training.store.writing import open_store, write_store

AHEAD = 2
"""Mini-batches that are read ahead, with one thread."""
COUNTED = 2**25
"""Bytes of the images whose pixels are counted together."""


class StoredImages:
    """Images (N, C, H, W), uint8, of a store; indexed like a tensor, by a slice or by indices.

    It can be pickled: a process on another machine that does not have the store writes it there from the source.

    Args:
        name: Name of the store.
        form: Form of the images.
        count: Number of images of the store.
        chosen: Rows of the store (N,) that these images are.
        rows: Function that reads the source of the store.
    """

    def __init__(self, name: str, form: Form, count: int, chosen: np.ndarray, rows: Callable[[], Rows]) -> None:
        self._name, self._form, self._count, self._chosen, self._rows = name, form, count, chosen, rows
        self._place = place()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_stored"}

    @property
    def folder(self) -> Path:
        """Folder of the store: that of the process which made it, or on another machine that of this one."""
        there = self._place / self._name
        return there if there.exists() else place() / self._name

    @property
    def shape(self) -> torch.Size:
        """Shape (N, C, H, W)."""
        return torch.Size([len(self._chosen), self._form.channels, self._form.height, self._form.width])

    def __len__(self) -> int:
        return len(self._chosen)

    @cached_property
    def _stored(self) -> Shards:
        return open_store(self.folder) or self._written()

    def _written(self) -> Shards:
        rows = self._rows()
        if len(rows) != self._count:
            raise UserError(
                f"{rows.place}: there are {len(rows):,} images on this machine, but {self._count:,} on the machine "
                "that drives the run. Make the data the same on both."
            )
        return self._write(rows)

    def _write(self, rows: Rows) -> Shards:
        return write_store(self.folder, rows, self._form)

    def prepare(self) -> None:
        """Write the images if they are not on this machine.

        Raises:
            UserError: As `write_store`; or the source on this machine has another number of images.
        """
        len(self._stored)

    def __getitem__(self, index: slice | Tensor | np.ndarray) -> Tensor:
        """Return images (n, C, H, W), uint8.

        Raises:
            UserError: As `prepare`; the store is damaged.
        """
        return self._read(index, None)

    def _read(self, index: slice | Tensor | np.ndarray, key: int | None) -> Tensor:
        chosen = self._chosen[index if isinstance(index, slice) else np.asarray(index)]
        pixels = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        for row, into in zip(chosen.tolist(), pixels, strict=True):
            try:
                self._read_row(row, into, key)
            except (UserError, OSError) as error:
                raise UserError(
                    f"train.data.store: image {row} of {self.folder} cannot be read ({str(error).rstrip('.')}). Delete "
                    "this folder and run the same command again, which writes it anew."
                ) from error
        return as_decoded(pixels)

    def _read_row(self, row: int, into: np.ndarray, key: int | None) -> None:
        """Read a row of the store as (C, H, W); a key is for images that are cut at random."""
        self._stored.read_into(row, into.reshape(-1).data)

    @property
    def _threads(self) -> int:
        """Number of threads that read ahead."""
        return 1

    def batches(
        self, order: Tensor, size: int, key: int | None = None, *, pinned: bool = False
    ) -> Generator[Tensor, None, None]:
        """Yield images in an order, `size` at a time, read ahead by threads; in pinned memory for a GPU.

        Args:
            order: Indices (n,) of the images, on the CPU.
            size: Number of images that are yielded together.
            key: Source of the randomness of images that are cut at random; None: they are cut in the middle.
            pinned: Whether they are for a GPU.

        Raises:
            UserError: As `prepare`.
        """

        def read(few: Tensor) -> Tensor:
            pixels = self._read(few, key)
            return pixels.pin_memory() if pinned else pixels

        self.prepare()
        waiting = deque(parts_of(order, size))
        reader = ThreadPoolExecutor(self._threads)
        try:
            ahead = deque(
                reader.submit(read, waiting.popleft()) for _ in range(min(AHEAD + self._threads - 1, len(waiting)))
            )
            while ahead:
                pixels = ahead.popleft().result()
                if waiting:
                    ahead.append(reader.submit(read, waiting.popleft()))
                yield pixels
        finally:
            reader.shutdown(wait=False, cancel_futures=True)

    @property
    def _counted(self) -> Tensor:
        """Images whose pixels are counted."""
        return torch.arange(len(self))

    def histogram(self) -> Tensor:
        """Return the number of pixels of each value (C, 256), counted once for each choice of images."""
        digest = hashlib.sha256(np.ascontiguousarray(self._chosen).tobytes()).hexdigest()[:20]
        kept = self.folder / f"histogram-{digest}.json"
        self.prepare()
        try:
            return torch.tensor(json.loads(kept.read_text()), dtype=torch.int64).reshape(self._form.channels, 256)
        except (OSError, ValueError, RuntimeError, TypeError):
            pass
        step = max(1, COUNTED // self.shape[1:].numel())
        counts = sum(histogram(pixels) for pixels in self.batches(self._counted, step))
        assert isinstance(counts, Tensor)
        with suppress(OSError), write_whole(kept) as aside:  # a store that others wrote cannot be written to
            aside.write_text(json.dumps(counts.tolist()))
        return counts


def as_decoded(pixels: np.ndarray) -> Tensor:
    """Return pixels (N, C, H, W) with the strides of `decode_rows`.

    PyTorch takes its images of one channel for channels-last ones, which decides the order in which a convolution adds.
    """
    count, channels, height, width = pixels.shape
    if channels == 1:
        pixels = pixels.reshape(count, height, width, 1).transpose(0, 3, 1, 2)
    return torch.from_numpy(pixels)


def parts_of(order: Tensor, size: int) -> Iterator[Tensor]:
    """Yield the parts of an order, of a size; the last one can be smaller."""
    return (order[start : start + size] for start in range(0, len(order), size))


def histogram(images: Tensor) -> Tensor:
    """Return the number of pixels of each value in each channel, (C, 256) int64.

    Args:
        images: (N, C, H, W) uint8.
    """
    return torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(1)])
