"""Labelled images of a data set by part, whatever form it has: digits, folders, tables, or the Hugging Face Hub."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training.images._classes import Classes, classes_of
from zenfront.pipeline.training.images.decoding.decoder import check_form, decode, read_header
from zenfront.pipeline.training.images.decoding.form import Form
from zenfront.pipeline.training.images.reading.hub import find_on_hub
from zenfront.pipeline.training.images.reading.layout import NAMES, Layout, find_layout
from zenfront.pipeline.training.images.reading.rows import Role, Rows
from zenfront.pipeline.training.images.split import stratified

DIGITS = "digits"
Found = TypeVar("Found", Layout, Rows)


@dataclass(frozen=True)
class Labelled:
    """A part of a data set with the classes of its images.

    Attributes:
        rows: The images.
        labels: Their classes (N,), int64, in 0 .. classes - 1.
        classes: The classes.
    """

    rows: Rows
    labels: np.ndarray
    classes: Classes


def read_train(data: Data) -> Labelled:
    """Return the training data; without a test part, those that are not held out as test data.

    Raises:
        UserError: The data are missing, damaged or empty, or their labels are no classes.
    """
    rows = _read(data, "train")
    classes = classes_of(rows)
    everything = Labelled(rows, classes.indices(rows), classes)
    return everything if test_part(data) else _divided(everything, data)[1]


def read_part(data: Data, role: Role, classes: Classes) -> Labelled:
    """Return the validation or the test part of the data.

    Args:
        data: The data.
        role: The part.
        classes: Classes of the training data.

    Raises:
        UserError: The data are missing, damaged or empty, or have a class that the training data do not have.
    """
    rows = _read(data, role)
    return Labelled(rows, classes.indices(rows), classes)


def read_test(data: Data, classes: Classes) -> Labelled:
    """Return the test data, as `read_part`; without a test part, those that `train.data.test` holds out."""
    if part := test_part(data):
        return read_part(data, part, classes)
    return _divided(read_part(data, "train", classes), data)[0]


def test_part(data: Data) -> Role | None:
    """Return the part that the test data are; None: a fraction of the training data.

    Raises:
        UserError: The data have no test part, and `train.data.test` does not say what is to be taken.
    """
    layout = find(data)
    if "test" in layout.parts and data.test is None:
        return "test"
    if data.test == "validation":
        if "validation" not in layout.parts:
            raise UserError(
                f"train.data.test: {layout.place} has no validation part. Set a fraction: train.data.test=0.2"
            )
        return "validation"
    if data.test is None:
        also = ", or take its validation part: --set train.data.test=validation" * ("validation" in layout.parts)
        raise UserError(
            f"train.data.source {layout.place}: there is no test part ({' or '.join(NAMES['test'])}). Hold out a "
            f"fifth of the images, the same for every seed: --set train.data.test=0.2{also}"
        )
    return None


def validation_part(data: Data) -> bool:
    """Return whether the validation data are a part of the data, and no fraction of the training data.

    Raises:
        UserError: `train.data.validation` is `split`, but there is no such part, or it is the test data.
    """
    there = "validation" in find(data).parts and data.test != "validation" and data.rules > 1
    if data.validation == "split" and not there:
        raise UserError(
            f"train.data.validation: `split` takes a validation part ({' or '.join(NAMES['validation'])}), but "
            f"{find(data).place} has none that is not the test data. Set a fraction: --set train.data.validation=0.1"
        )
    return there and data.validation in (None, "split")


def decode_rows(rows: Rows, indices: np.ndarray, form: Form) -> np.ndarray:
    """Return images of a part as (n, C, H, W) uint8.

    Raises:
        UserError: An image is damaged or cannot get the form, or the images need more memory than there is.
    """
    shape = (len(indices), form.height, form.width, form.channels)
    _require_memory(rows.place, shape)
    pixels = np.empty(shape, dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on metadata; what matters raises an error
        for position, index in enumerate(indices.tolist()):
            pixels[position] = decode_row(rows, index, form)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def decode_row(rows: Rows, index: int, form: Form) -> np.ndarray:
    """Return an image of a part as (H, W, C) uint8.

    Raises:
        UserError: The image is damaged or cannot get the form.
    """
    try:
        return decode(rows.images[index], form)
    except UserError as error:
        many = _misfits(rows, form)
        raise UserError(f"{rows.place_of(index)}: {error}{many}") from error.__cause__


def _misfits(rows: Rows, form: Form) -> str:
    """Return how many images cannot get the form, as far as their headers say, for a message."""
    count = 0
    for stored in rows.images:
        try:
            check_form(read_header(stored, form.rules, form.largest_file), form)
        except UserError:
            count += 1
    return f" ({count:,} of {len(rows):,} images of {rows.place} do not fit.)" if count else ""


def local_path(data: Data) -> Path | None:
    """Return the file or folder of local data; None: digits, or a name on the hub.

    Raises:
        UserError: There is no such file or folder.
    """
    if data.source == DIGITS:
        return None
    path = Path(data.source).expanduser()
    if path.exists():
        return path
    first, slash, rest = data.source.partition("/")
    on_hub = slash and rest and "/" not in rest and first not in (".", "..", "~") and not Path(first).exists()
    if not on_hub or path.suffix in (".parquet", ".csv", ".zip"):
        raise UserError(
            f"train.data.source {data.source}: there is no such file or folder in {path.absolute().parent}. Correct "
            "the path. Data sets of the Hugging Face Hub are named owner/name."
        )
    return None


def resolved(data: Data) -> Data:
    """Return the data with an absolute path: a process in another folder may read the test data."""
    path, apart = local_path(data), _apart(data)
    with _naming_validation_source():
        other = local_path(apart) if apart else None
    update = {"source": path and str(path.resolve()), "validation_source": other and str(other.resolve())}
    return data.model_copy(update={key: place for key, place in update.items() if place})


def _apart(data: Data) -> Data | None:
    """Return the data that `train.data.validation_source` names."""
    if data.validation_source is None:
        return None
    return data.model_copy(update={"source": data.validation_source, "validation_source": None})


@contextmanager
def _naming_validation_source() -> Iterator[None]:
    """Let errors name the key that they are about."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("train.data.source", "train.data.validation_source")) from error


def find(data: Data) -> Layout:
    """Return the parts of the data.

    Raises:
        UserError: There is no such source, or it holds nothing that is read.
    """
    if data.source == DIGITS:
        return Layout({"train": lambda: _digits("train"), "test": lambda: _digits("test")}, DIGITS)
    path = local_path(data)
    layout = _guarded(data, "source", lambda: find_layout(path, data) if path else find_on_hub(data))
    if apart := _apart(data):
        with _naming_validation_source():
            other = find(apart).parts
        parts: dict[Role, Callable[[], Rows]] = dict(layout.parts) | {
            "validation": other.get("validation", other["train"])
        }
        layout = replace(layout, parts=parts)
    return layout


def _read(data: Data, role: Role) -> Rows:
    rows = _guarded(data, role, find(data).parts[role])
    if not rows.images:
        raise UserError(f"{rows.place}: there must be at least one image, but got none. Restore the data.")
    return rows


def _guarded(data: Data, what: str, reads: Callable[[], Found]) -> Found:
    try:
        return reads()
    except UserError:
        raise
    except Exception as error:  # readers of damaged files raise nearly every exception
        reason = f"{type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else 'without a message'}"
        raise UserError(
            f"train.data.source {data.source}: the {what} data cannot be read ({reason}). {_remedy(data)}"
        ) from error


def _remedy(data: Data) -> str:
    if local_path(data):
        return "Restore the files."
    return (
        f"There is no folder {data.source} here, so it was looked for on the Hugging Face Hub: check the name and the "
        "network connection."
    )


def _divided(everything: Labelled, data: Data) -> tuple[Labelled, Labelled]:
    """Return what is held out as test data, and the rest. It does not depend on the seed, to compare runs."""
    fraction = data.test
    assert isinstance(fraction, float)
    count = max(1, round(fraction * len(everything.labels)))
    test, train = stratified(
        everything.labels, count, numpy_generator(0, "data", "test"), draw_each=True, leave_each=True
    )
    held_out, kept = (
        Labelled(everything.rows.take(chosen), everything.labels[chosen], everything.classes)
        for chosen in (test, train)
    )
    return held_out, kept


def _digits(role: Role) -> Rows:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # The data set has no test part. A fifth is set aside, independently of the experiment's seed, to compare runs.
    test, train = stratified(digits.target, len(digits.target) // 5, numpy_generator(0, "digits", "test"))
    images = digits.images.astype(np.uint8)  # (1797, 8, 8), values 0 .. 16
    everything = Rows(DIGITS, list(images), digits.target.tolist(), lambda row: f"{DIGITS}, image {row}", "target")
    return everything.take(test if role == "test" else train)


def _require_memory(place: str, shape: tuple[int, ...]) -> None:
    wanted, there = int(np.prod(shape, dtype=object)), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if wanted > there:
        raise UserError(
            f"{place}: {shape[0]:,} decoded images need {wanted:,} bytes, but this machine has {there:,} bytes of "
            "memory. Keep them on the disk (`train.data.store: disk`), or use fewer images (`train.data.limit`), or "
            "smaller ones (`train.data.resize`)."
        )
