"""Sources of images: scikit-learn's digits, local parquet files or image folders, and the Hugging Face Hub."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training._decoder import FORMATS, decode, read_inside
from zenfront.pipeline.training._split import stratified
from zenfront.pipeline.training._tables import Stored, read_parquet
from zenfront.spaces import Task

Role = Literal["train", "test"]
DIGITS = "digits"
ROLES: tuple[Role, Role] = ("train", "test")
EXTENSIONS = tuple(extension for extensions in FORMATS.values() for extension in extensions)


@dataclass(frozen=True)
class Encoded:
    """The training or the test data before decoding.

    Attributes:
        labels: Labels (N,), int64, in 0 .. classes - 1.
        decode: (n,) indices -> (n, C, H, W) uint8 images.
    """

    labels: np.ndarray
    decode: Callable[[np.ndarray], np.ndarray]


def read(data: Data, task: Task, role: Role) -> Encoded:
    """Return the labels of the training or test data, checked against the task, with a decoder of the images.

    Raises:
        UserError: The data are missing, damaged, empty, or do not match the task.
    """
    if data.source == DIGITS:
        return _digits(task, role)
    encoded = _rows(data, role)
    labels = encoded.checked_labels(task)
    if role == "train" and (absent := set(range(task.classes)) - set(labels.tolist())):
        raise UserError(
            f"{encoded.place}, column {encoded.label!r}: each of the task's {task.classes} classes must occur, "
            f"but class {min(absent)} does not. Correct `task.classes` or the data."
        )
    return Encoded(labels, lambda indices: encoded.decode(indices, task))


def _digits(task: Task, role: Role) -> Encoded:
    from sklearn.datasets import load_digits

    if (found := (1, 8, 8, 10)) != (task.channels, task.height, task.width, task.classes):
        raise UserError(
            "train.data.source digits: `task` must be (channels, height, width, classes) = "
            f"{found}, but got {(task.channels, task.height, task.width, task.classes)}."
        )
    digits = load_digits()
    images = digits.images.astype(np.uint8)[:, None]  # (1797, 1, 8, 8), values 0 .. 16
    labels = digits.target.astype(np.int64)
    # The data set has no test part. A fifth is set aside, independently of the experiment's seed, to compare runs.
    test, train = stratified(labels, len(labels) // 5, numpy_generator(0, "digits", "test"))
    chosen = test if role == "test" else train
    return Encoded(labels[chosen], lambda indices: images[chosen[indices]])


@dataclass(frozen=True)
class _Rows:
    """The rows of a data set, with encoded images and raw labels.

    Attributes:
        place: Name of the data for messages.
        image: Column of the images.
        label: Column of the labels.
        root: Folder that holds the files of images that are given by a path.
        images: Encoded images, or the paths of their files.
        labels: One per image, unless they are no integers.
    """

    place: str
    image: str
    label: str
    root: Path
    images: Sequence[Stored]
    labels: Sequence[Any]

    def checked_labels(self, task: Task) -> np.ndarray:
        """Return the labels (N,), int64."""
        for row, label in enumerate(self.labels):
            if type(label) is not int or not 0 <= label < task.classes:
                raise UserError(
                    f"{self.place}, row {row}, column {self.label!r}: a label must be an integer from 0 to "
                    f"{task.classes - 1} (`task.classes` is {task.classes}), but got {repr(label)[:100]}."
                )
        return np.array(self.labels, dtype=np.int64)

    def decode(self, indices: np.ndarray, task: Task) -> np.ndarray:
        """Return the images (n, C, H, W), uint8."""
        shape = (len(indices), task.height, task.width, task.channels)
        _require_memory(self.place, shape)
        pixels = np.empty(shape, dtype=np.uint8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata; what matters raises an error
            for position, index in enumerate(indices.tolist()):
                try:
                    pixels[position] = decode(self._encoded(self.images[index], task), task)
                except UserError as error:
                    place = f"{self.place}, row {index}, column {self.image!r}"
                    raise UserError(f"{place}: {error}") from error.__cause__
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))

    def _encoded(self, image: Stored, task: Task) -> bytes:
        if image is None:
            raise UserError("there is no image. Remove the row or restore the image.")
        return image if isinstance(image, bytes) else read_inside(self.root, image, task)


def _require_memory(place: str, shape: tuple[int, ...]) -> None:
    wanted, there = int(np.prod(shape, dtype=object)), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if wanted > there:
        raise UserError(
            f"{place}: {shape[0]:,} decoded images need {wanted:,} bytes, but this machine has {there:,} bytes of "
            "memory. Use fewer images (`train.data.limit`), or smaller ones."
        )


def _rows(data: Data, role: Role) -> _Rows:
    try:
        rows = _dataset(data, role)
    except UserError:
        raise
    except Exception as error:  # readers of damaged files raise nearly every exception
        raise UserError(
            f"train.data.source {data.source}: the {role} data cannot be read "
            f"({type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else 'without a message'}). "
            "Check the name and the network connection, or restore the files."
        ) from error
    if not rows.images:
        raise UserError(f"{rows.place}: there must be at least one image, but got none. Restore the data.")
    return rows


def _dataset(data: Data, role: Role) -> _Rows:
    folder = Path(data.source).expanduser()
    if all((folder / f"{part}.parquet").is_file() for part in ROLES):
        table = folder / f"{role}.parquet"
        return _Rows(str(table), data.image, data.label, folder, *read_parquet(table, data.image, data.label))
    if all((folder / part).is_dir() for part in ROLES):
        return _image_folder(folder, role)
    if folder.is_dir():
        raise UserError(
            f"train.data.source {folder}: the folder must hold train.parquet and test.parquet, or the image folders "
            f"train/ and test/, but it holds: {', '.join(_listing(folder)) or 'nothing'}."
        )
    if data.source.startswith((".", "/", "~")) or data.source.count("/") > 1:  # names on the Hub are [owner/]name
        raise UserError(f"train.data.source {data.source}: there is no such folder. Correct the path.")
    return _hub(data, role)


def _image_folder(folder: Path, role: Role) -> _Rows:
    """Return the images ``role/class/name``; the classes are the sorted sub-folders of train/."""
    classes = {name: label for label, name in enumerate(_entries(folder / "train"))}
    images, labels = [], []
    for name in _entries(folder / role):
        if name not in classes:
            raise UserError(f"{folder / role / name}: there is no class {name!r} in {folder / 'train'}. Remove it.")
        for file in _entries(folder / role / name, folders=False):
            if not file.lower().endswith(EXTENSIONS):
                raise UserError(
                    f"{folder / role / name / file}: a class must hold files with the extensions "
                    f"{', '.join(EXTENSIONS)} alone. Convert or remove it."
                )
            images.append(f"{role}/{name}/{file}")
            labels.append(classes[name])
    return _Rows(str(folder / role), "image", "label", folder, images, labels)


def _entries(folder: Path, folders: bool = True) -> list[str]:
    """Return the sorted names in a folder without hidden ones: its folders, or everything."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.name[0] != "." and (not folders or entry.is_dir()))


def _hub(data: Data, role: Role) -> _Rows:
    from datasets import Image as Encoding
    from datasets import config, load_dataset

    rows = load_dataset(data.source, split=role)
    for key, column in (("image", data.image), ("label", data.label)):
        if column not in rows.column_names:
            raise UserError(
                f"{data.source}: there is no column {column!r}. It has: {', '.join(rows.column_names[:20])}. "
                f"Name the right one in `train.data.{key}`."
            )
    images: list[Stored] = []
    labels: list[Any] = []
    for batch in rows.cast_column(data.image, Encoding(decode=False)).iter(batch_size=1000):
        images += [
            image and (image["path"] if image["bytes"] is None else image["bytes"]) for image in batch[data.image]
        ]
        labels += batch[data.label]
    return _Rows(data.source, data.image, data.label, Path(config.HF_CACHE_HOME), images, labels)


def _listing(folder: Path) -> Iterator[str]:
    names = sorted(path.name for path in folder.iterdir())
    yield from names[:5]
    if len(names) > 5:
        yield f"... ({len(names)} in all)"
