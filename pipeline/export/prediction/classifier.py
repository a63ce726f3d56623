"""An exported network that classifies images, whatever its format is."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.quiet import first_line
from zenfront.pipeline.export.subject import Preprocessing
from zenfront.pipeline.training.images.decoding.decoder import Header, read_header, size_text
from zenfront.pipeline.training.images.reading.rows import Rows
from zenfront.pipeline.training.images.source import decode_rows

BATCH = 500
"""Images that are decoded and classified together, as in the test pass of a training."""


@dataclass(frozen=True)
class Classifier:
    """A network with what it needs to classify images.

    Attributes:
        name: What it was read from, for messages.
        preprocessing: What is done to an image before the network.
        classes: Names of the classes in the order of the logits.
        takes_pixels: Whether the network normalises the images itself.
        run: Function that computes logits (N, K) of images (N, C, H, W) float32.
    """

    name: str
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    takes_pixels: bool
    run: Callable[[Tensor], Tensor]

    def look(self, rows: Rows) -> list[str]:
        """Check the headers of images; return a line for each mode that is converted, with the number of images.

        Raises:
            UserError: A file is no image, or has another size than the network takes.
        """
        form, found = self.preprocessing.form, []
        for row, stored in enumerate(rows.images):
            try:
                found.append(read_header(stored, form.rules, form.largest_file))
            except UserError as error:
                raise UserError(f"{rows.place_of(row)}: {error}") from error.__cause__
        if form.resize is None:
            self._check_sizes(rows, found)
        modes = Counter(header.mode for header in found if header.mode != form.mode)
        return [
            f"mode {mode} is read as {form.mode}: {count:,} of {len(rows):,} images" for mode, count in modes.items()
        ]

    def probabilities(self, rows: Rows) -> np.ndarray:
        """Return the probabilities (N, K) float32 of the classes of images, decoded as the test images of a training.

        Raises:
            UserError: An image is damaged or has another size than the network takes, or the network cannot be run.
        """
        batches = [np.arange(first, min(first + BATCH, len(rows))) for first in range(0, len(rows), BATCH)]
        return np.concatenate([self._batch(rows, indices) for indices in batches])

    def _batch(self, rows: Rows, indices: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(decode_rows(rows, indices, self.preprocessing.form))
        images = pixels.float() if self.takes_pixels else self._normalised(pixels)
        try:
            logits = self.run(images)
        except Exception as error:  # of torch, of onnxruntime, of the network
            raise UserError(
                f"{self.name}: the network cannot be run ({first_line(error)}). Export it again."
            ) from error
        if self.classes and logits.shape[1:] != (len(self.classes),):
            raise UserError(
                f"{self.name}: there are {len(self.classes)} names of classes, but {logits.shape[1]} logits."
            )
        probabilities: np.ndarray = torch.softmax(logits, 1).numpy()
        return probabilities

    def _normalised(self, pixels: Tensor) -> Tensor:
        mean, std = self.preprocessing.mean, self.preprocessing.std
        if mean is None or std is None:
            raise UserError(
                f"{self.name}: mean and deviation of the images are unknown, since no training has computed them. "
                "Export a trained network."
            )
        return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]

    def _check_sizes(self, rows: Rows, headers: Sequence[Header]) -> None:
        wanted = (self.preprocessing.height, self.preprocessing.width)
        odd = [row for row, header in enumerate(headers) if (header.height, header.width) != wanted]
        if odd:
            first = headers[odd[0]]
            raise UserError(
                f"{rows.place_of(odd[0])}: the image is {size_text(first.height, first.width)}, but {self.name} takes "
                f"images that are {size_text(*wanted)} ({len(odd):,} of {len(rows):,} images have another size). "
                "Resize them as the training images were, or train with `train.data.resize`."
            )
