"""Images of a store that are decoded when they are needed, since each epoch takes another part of them."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from zenfront.pipeline.training.images.decoding.decoder import decode
from zenfront.pipeline.training.images.decoding.part import Part, draw_part
from zenfront.pipeline.training.images.reading.rows import Rows
from zenfront.pipeline.training.store._shards import Shards
from zenfront.pipeline.training.store.stored_images import StoredImages
from zenfront.pipeline.training.store.writing import write_store

SAMPLE = 10_000
"""Images whose pixels are counted for mean and deviation."""


class EncodedImages(StoredImages):
    """Images (N, C, H, W), uint8, that are decoded by as many threads as PyTorch has in this process.

    Without a key they are cut in the middle. With a key, the part of an image depends on the key and its row alone.
    """

    def _write(self, rows: Rows) -> Shards:
        return write_store(self.folder, rows, self._form, is_encoded=True)

    @property
    def _threads(self) -> int:
        return torch.get_num_threads()

    @property
    def _counted(self) -> Tensor:
        return torch.arange(0, len(self), -(-len(self) // SAMPLE))

    def _read_row(self, row: int, into: np.ndarray, key: int | None) -> None:
        draw = None if key is None else partial(self._draw, key, row)
        into[:] = decode(self._stored[row], self._form, draw).transpose(2, 0, 1)

    def _draw(self, key: int, row: int, height: int, width: int) -> Part:
        assert self._form.resize
        generator = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, row]))
        return draw_part(height, width, self._form.resize.random, generator)
