"""Read data sets from the Hugging Face Hub."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.images.reading.layout import IN_MEMORY, NAMES, Layout
from zenfront.pipeline.training.images.reading.parquet import missing_column
from zenfront.pipeline.training.images.reading.rows import Cell, ImageFile, Role, Rows, Stored

PATIENCE = 10
"""Seconds to wait for an answer of the hub."""


def find_on_hub(data: Data) -> Layout:
    """Return the parts of a data set on the hub.

    Raises:
        Exception: It cannot be reached, or there is none of that name.
    """
    splits = _load(data.source)
    found: Mapping[Role, str] = {
        role: name for role, names in NAMES.items() for name in splits if name.lower() in names
    }
    if not found:
        found = {"train": next(iter(splits))}
    return Layout({role: _reader(data, splits[name]) for role, name in found.items()}, data.source)


def columns(name: str) -> dict[str, str]:
    """Return the columns of a data set on the hub, and whether each may hold ``images`` or ``labels``."""
    from datasets import ClassLabel
    from datasets import Image as Encoding

    features = next(iter(_load(name).values())).features
    uses = {column: "images" for column, kind in features.items() if isinstance(kind, Encoding)}
    named = {column: "labels" for column, kind in features.items() if isinstance(kind, ClassLabel)}
    return uses | (named or {column: "labels" for column in features if column not in uses})


@lru_cache(maxsize=2)  # of the training and of the validation images
def _load(name: str) -> Mapping[str, Any]:
    _stay_offline_if_unreachable(name)
    from datasets import load_dataset

    return dict(load_dataset(name))


def _stay_offline_if_unreachable(name: str) -> None:
    """Make `datasets` use what it has on the disk if the hub does not answer: by itself it would try for half a minute.

    To be called before `datasets` is imported, which reads the variable once.
    """
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        with urlopen(f"{endpoint}/api/datasets/{name}", timeout=PATIENCE):
            pass
    except HTTPError:  # it answers; whether the data set exists for this user is for `datasets` to say
        pass
    except (OSError, ValueError):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def _reader(data: Data, rows: Any) -> Callable[[], Rows]:
    return lambda: _rows(data, rows)


def _rows(data: Data, rows: Any) -> Rows:
    from datasets import Image as Encoding
    from datasets import config

    place = f"{data.source} ({rows.split})"
    for key, column in (("image", data.image), ("label", data.label)):
        if column not in rows.column_names:
            raise UserError(missing_column(Path(place), rows.column_names, key, column))
    cache = Path(config.HF_CACHE_HOME)
    encoded = rows.cast_column(data.image, Encoding(decode=False))
    images: list[Stored] = []
    if encoded.data.nbytes > IN_MEMORY:
        table = HubTable(encoded.select_columns(data.image), data.image, cache)
        images = [Cell(table, row) for row in range(len(encoded))]
    else:
        for batch in encoded.select_columns(data.image).iter(batch_size=1000):
            images += [_stored(image, cache) for image in batch[data.image]]
    labels = list(encoded[data.label])
    names = getattr(rows.features[data.label], "names", None)
    return Rows(
        place=place,
        images=images,
        labels=labels,
        where=lambda row: f"{place}, row {row}",
        key=f"column {data.label!r}",
        column=data.image,
        names=tuple(names) if names else None,
    )


@dataclass(frozen=True)
class HubTable:
    """Images of a part of a data set, which `datasets` keeps on the disk.

    Attributes:
        table: The part as `datasets.Dataset`.
        image: Column of the images.
        cache: Folder of the files that it names.
    """

    table: Any
    image: str
    cache: Path

    def identity(self) -> str:
        """Return the fingerprint that `datasets` gives the part."""
        return str(self.table._fingerprint)

    def read(self, place: int) -> Stored:
        """Return the image of a row."""
        return _stored(self.table[place][self.image], self.cache)


def _stored(image: Mapping[str, Any] | None, cache: Path) -> Stored:
    if not image:
        return None
    content: bytes | None = image["bytes"]
    return ImageFile(cache, image["path"]) if content is None else content
