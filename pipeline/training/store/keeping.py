"""Where the images of a part are kept: in memory, or in a store on the disk."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.images.decoding.form import Form
from zenfront.pipeline.training.images.reading.rows import Rows
from zenfront.pipeline.training.images.source import decode_rows
from zenfront.pipeline.training.store._place import place
from zenfront.pipeline.training.store.encoded_images import EncodedImages
from zenfront.pipeline.training.store.key import store_name
from zenfront.pipeline.training.store.stored_images import StoredImages
from zenfront.pipeline.training.store.writing import write_store
from zenfront.pipeline.wording import size

IN_MEMORY = 2**29
"""Bytes of decoded images that `auto` keeps in memory, on a machine with eight times as much; an eighth on others."""
Pixels = Tensor | StoredImages


@dataclass(frozen=True)
class Keeping:
    """Decodes parts of a data set into memory or to the disk.

    Attributes:
        form: Form of the images.
        on_disk: Whether they are written to a store.
    """

    form: Form
    on_disk: bool

    @staticmethod
    def of(data: Data, form: Form, images: int) -> "Keeping":
        """Return what `train.data.store` says, for a number of images that are trained on and validated with."""
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        random = data.resize is not None and data.resize.random > 0
        large = images * form.channels * form.height * form.width > min(IN_MEMORY, memory // 8)
        return Keeping(form, data.store == "disk" or (data.store == "auto" and (large or random)))

    def keep(self, role: str, rows: Rows, read: Callable[[], Rows]) -> "Kept":
        """Return a part whose images are decoded when they are chosen, or written to a store now.

        Args:
            role: Name of the part.
            rows: The part.
            read: Function that reads the same rows, also in a process that does not have them.

        Raises:
            UserError: An image is damaged or cannot get the form; the store cannot be written.
        """
        if not self.on_disk:
            return lambda chosen: torch.from_numpy(decode_rows(rows, chosen, self.form))
        resize, is_encoded = None, False
        if self.form.resize:
            resize = self.form.resize.model_dump(mode="json", exclude={"random"})
            is_encoded = role == "train" and self.form.resize.random > 0
        name = store_name(rows, role, asdict(self.form) | {"resize": resize, "is_encoded": is_encoded})
        write_store(place() / name, rows, self.form, is_encoded=is_encoded)
        kind = EncodedImages if is_encoded else StoredImages
        return lambda chosen: kind(name, self.form, len(rows), chosen, read)


Kept = Callable[[np.ndarray], Pixels]
"""Function that returns chosen images of a part."""


def describe_stores() -> str:
    """Return in words how many stores of images this machine has, their size and their folder."""
    folder = place()
    found = [each for each in folder.glob("*") if each.is_dir()] if folder.is_dir() else []
    if not found:
        return f"stored images: none in {folder}"
    used = sum(file.stat().st_size for each in found for file in each.glob("*") if file.is_file())
    sets = f"{len(found)} set{'' if len(found) == 1 else 's'}"
    return f"stored images: {sets}, {size(used)} in {folder}; delete any that no run is using"
