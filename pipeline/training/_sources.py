"""Sources of images: scikit-learn's digits, local parquet files or image folders, and the Hugging Face Hub."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Data
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training._split import stratified
from zenfront.spaces import Task

Role = Literal["train", "test"]
DIGITS = "digits"
ROLES: tuple[Role, Role] = ("train", "test")
CHANNELS = {"L": 1, "RGB": 3}  # Pillow's modes with 8 bits per channel


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
    encoded = _Rows.read(data, role)
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
    """The rows of a data set, with encoded images and raw labels."""

    place: str
    image: str
    label: str
    images: list[Any]
    labels: list[Any]

    @staticmethod
    def read(data: Data, role: Role) -> "_Rows":
        from datasets import Image as Encoding
        from datasets.exceptions import DatasetsError

        images: list[Any] = []
        labels: list[Any] = []
        try:
            place, image, label, rows = _dataset(data, role)
            for key, column in (("image", image), ("label", label)):
                if column not in rows.column_names:
                    raise UserError(
                        f"{place}: there is no column {column!r}. It has: {', '.join(rows.column_names)}. "
                        f"Name the right one in `train.data.{key}`."
                    )
            for batch in rows.cast_column(image, Encoding(decode=False)).iter(batch_size=1000):
                images += batch[image]
                labels += batch[label]
        except (OSError, ValueError, TypeError, RuntimeError, DatasetsError) as error:
            raise UserError(
                f"train.data.source {data.source}: the {role} data cannot be read "
                f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'without a message'}). "
                "Check the name and the network connection, or restore the files."
            ) from error
        if not images:
            raise UserError(f"{place}: there must be at least one image, but got none. Restore the data.")
        return _Rows(place, image, label, images, labels)

    def checked_labels(self, task: Task) -> np.ndarray:
        """Return the labels (N,), int64."""
        for row, label in enumerate(self.labels):
            if type(label) is not int or not 0 <= label < task.classes:
                raise UserError(
                    f"{self.place}, row {row}, column {self.label!r}: a label must be an integer from 0 to "
                    f"{task.classes - 1} (`task.classes` is {task.classes}), but got {label!r}."
                )
        return np.array(self.labels, dtype=np.int64)

    def decode(self, indices: np.ndarray, task: Task) -> np.ndarray:
        """Return the images (n, C, H, W), uint8."""
        pixels = np.empty((len(indices), task.height, task.width, task.channels), dtype=np.uint8)
        for position, index in enumerate(indices.tolist()):
            place = f"{self.place}, row {index}, column {self.image!r}"
            pixels[position] = _pixels(self.images[index], task, place)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _dataset(data: Data, role: Role) -> tuple[str, str, str, Any]:
    """Return the name of the data for messages, the columns of images and labels, and the rows."""
    from datasets import load_dataset

    folder = Path(data.source).expanduser()
    parquet = {part: str(folder / f"{part}.parquet") for part in ROLES}
    if all(Path(path).is_file() for path in parquet.values()):
        # Without streaming, `datasets` copies all data to the user's cache and locks it between workers.
        # The batch size is explicit: the default is the size of the first row group, and an empty file has none.
        rows = load_dataset("parquet", data_files=parquet, split=role, streaming=True, batch_size=1000)
        return parquet[role], data.image, data.label, rows
    if all((folder / part).is_dir() for part in ROLES):
        folders = {part: str(folder / part / "**") for part in ROLES}
        rows = load_dataset("imagefolder", data_files=folders, split=role, streaming=True, drop_labels=False)
        return str(folder / role), "image", "label", rows  # the column names that `datasets` gives an image folder
    if folder.is_dir():
        raise UserError(
            f"train.data.source {folder}: the folder must hold train.parquet and test.parquet, or the image folders "
            f"train/ and test/, but it holds: {', '.join(_listing(folder)) or 'nothing'}."
        )
    if data.source.startswith((".", "/", "~")) or data.source.count("/") > 1:  # names on the Hub are [owner/]name
        raise UserError(f"train.data.source {data.source}: there is no such folder. Correct the path.")
    return data.source, data.image, data.label, load_dataset(data.source, split=role)


def _listing(folder: Path) -> Iterator[str]:
    names = sorted(path.name for path in folder.iterdir())
    yield from names[:5]
    if len(names) > 5:
        yield f"... ({len(names)} in all)"


def _pixels(encoded: Mapping[str, Any] | None, task: Task, place: str) -> np.ndarray:
    """Return the pixels (H, W, C), uint8, of an encoded image, checked against the task."""
    if encoded is None:
        raise UserError(f"{place}: there is no image. Remove the row or restore the image.")
    data, path = encoded["bytes"], encoded["path"]
    try:
        with Image.open(path if data is None else io.BytesIO(data)) as image:
            image.load()
            pixels = np.asarray(image.convert("RGB") if image.mode == "P" else image)  # mode P: colours by a palette
            mode = "RGB" if image.mode == "P" else image.mode
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = "unknown format" if isinstance(error, UnidentifiedImageError) else error
        raise UserError(
            f"{place}: the image {path or 'stored there'} cannot be decoded ({reason}). Replace it."
        ) from error
    if mode not in CHANNELS:
        raise UserError(
            f"{place}: an image must be greyscale or RGB with 8 bits per channel, but got Pillow's mode {mode!r}. "
            "Convert it."
        )
    found = (CHANNELS[mode], *pixels.shape[:2])
    if found != (task.channels, task.height, task.width):
        raise UserError(
            f"{place}: `task` says (channels, height, width) = {(task.channels, task.height, task.width)}, "
            f"but the image is {found}. Correct `task` or the data."
        )
    return pixels.reshape(task.height, task.width, task.channels)
