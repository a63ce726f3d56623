"""Look at a data set without decoding it: its parts, classes, sizes and modes, and whether they fit the task."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.results.overview import Overview, Part
from zenfront.pipeline.training.images._classes import SKEWED, check_classes
from zenfront.pipeline.training.images.decoding.convert import check_mode
from zenfront.pipeline.training.images.decoding.decoder import Header, check_form, read_header, resize_option, size_text
from zenfront.pipeline.training.images.decoding.form import LARGEST_FILE, Form
from zenfront.pipeline.training.images.reading.rows import Role
from zenfront.pipeline.training.images.source import (
    Labelled,
    decode_rows,
    find,
    read_part,
    read_test,
    read_train,
    test_part,
    validation_part,
)
from zenfront.pipeline.wording import clean
from zenfront.spaces import Task

SAMPLE = 16
"""Images of each part that are decoded."""
GREY = {"1", "L", "LA"}
"""Modes without colours; so is I;16."""


def look(data: Data, task: Task | None) -> Overview:
    """Look at all parts of a data set: labels and headers of all images, the pixels of a sample.

    Args:
        data: The data.
        task: Task that the images must fit; None: it is read from the data.

    Returns:
        Contents of the data.

    Raises:
        UserError: The data are missing, damaged or unlabelled, the parts do not fit each other, or the images do not
            fit the task.
    """
    parts = _parts(data)
    train = parts["train"]
    form = Form.of(data, task) if task else None
    headers = {role: _headers(part, data, form) for role, part in parts.items()}
    task = task or _task(data, train, headers["train"])
    check_classes(train.classes, train.rows, task.out_features)
    form = Form.of(data, task)
    for role, part in parts.items():
        _check_headers(part, headers[role], form)
        decode_rows(part.rows, _sample(len(part.labels)), form)
    everything = [header for found in headers.values() for header in found]
    counts = {role: np.bincount(part.labels, minlength=len(train.classes)) for role, part in parts.items()}
    return Overview(
        task=task,
        classes=train.classes.names,
        parts=tuple(Part(role, parts[role].rows.place, tuple(counts[role].tolist())) for role in parts),
        sizes=_counted(f"{header.height} x {header.width}" for header in everything),
        modes=_counted(header.mode for header in everything),
        notes=tuple(
            clean(note)
            for notes in (
                _notes(data, parts),
                _form_notes(everything, form),
                _class_notes(train.classes.names, counts),
            )
            for note in notes
        ),
    )


def sizes(data: Data) -> Counter[tuple[int, int]]:
    """Return the number of images of each height and width, over all parts.

    Raises:
        UserError: The data are missing, damaged or unlabelled, or the parts do not fit each other.
    """
    headers = (header for part in _parts(data).values() for header in _headers(part, data, None))
    return Counter((header.height, header.width) for header in headers)


def decode_sample(data: Data, task: Task, role: Role, count: int) -> np.ndarray:
    """Return images (n, C, H, W), uint8, spread evenly over a part, at most `count`.

    Raises:
        UserError: As `look`; or an image cannot be decoded.
    """
    part = _parts(data)[role]
    return decode_rows(part.rows, _sample(len(part.labels), count), Form.of(data, task))


def _parts(data: Data) -> dict[Role, Labelled]:
    train = read_train(data)
    parts: dict[Role, Labelled] = {"train": train}
    if validation_part(data):
        parts["validation"] = read_part(data, "validation", train.classes)
    return parts | {"test": read_test(data, train.classes)}


def _sample(size: int, count: int = SAMPLE) -> np.ndarray:
    return np.unique(np.linspace(0, size - 1, min(size, count)).astype(int))


def _headers(part: Labelled, data: Data, form: Form | None) -> list[Header]:
    largest = form.largest_file if form else LARGEST_FILE
    headers = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on metadata; what matters raises an error
        for row, stored in enumerate(part.rows.images):
            try:
                headers.append(read_header(stored, data.rules, largest))
            except UserError as error:
                raise UserError(f"{part.rows.place_of(row)}: {error}") from error.__cause__
    return headers


def _task(data: Data, train: Labelled, headers: Sequence[Header]) -> Task:
    sizes = Counter((header.height, header.width) for header in headers)
    if data.resize is None and len(sizes) > 1:
        short = min(min(size) for size in sizes)
        side = next((side for side in (224, 128, 96, 64, 32) if side <= short), short)
        raise UserError(_mixed(train, headers, sizes.most_common(1)[0][0], (side, side)))
    height, width = data.resize.shape if data.resize else next(iter(sizes))
    grey = all(header.mode in GREY or header.mode.startswith("I;16") for header in headers)
    return Task(1 if grey else 3, height, width, len(train.classes))


def _check_headers(part: Labelled, headers: Sequence[Header], form: Form) -> None:
    size = (form.height, form.width)
    if form.resize is None and any((each.height, each.width) != size for each in headers):
        raise UserError(_mixed(part, headers, size, size))
    for mode, count in Counter(header.mode for header in headers).items():
        row = next(row for row, header in enumerate(headers) if header.mode == mode)
        try:
            check_mode(mode, form)
        except UserError as error:
            some = f"{count:,} of {len(headers):,} images have this mode"
            raise UserError(f"{part.rows.place_of(row)}: {error} ({some}.)") from error
    for row, header in enumerate(headers):
        try:
            check_form(header, form)
        except UserError as error:
            raise UserError(f"{part.rows.place_of(row)}: {error}") from error


def _mixed(part: Labelled, headers: Sequence[Header], wanted: tuple[int, int], shape: tuple[int, int]) -> str:
    """Return the message about images of other sizes: the first one, how many, and how to resize all."""
    odd = [row for row, header in enumerate(headers) if (header.height, header.width) != wanted]
    first = headers[odd[0]]
    alike = len({(header.height, header.width) for header in headers}) == 1
    auto = " To take the size of the images: --set task=auto." if alike and len(odd) == len(headers) else ""
    return (
        f"{part.rows.place}: all images must have one size, {size_text(*wanted)}, but {len(odd):,} of {len(headers):,} "
        f"{'has' if len(odd) == 1 else 'have'} another: {part.rows.where(odd[0])} is "
        f"{size_text(first.height, first.width)}.{auto} To resize all images: {resize_option(*shape)}"
    )


def _notes(data: Data, parts: Mapping[Role, Labelled]) -> Iterator[str]:
    """Yield what is left out, followed or not used."""
    layout = find(data)
    yield from layout.notes
    seen: set[str] = set()
    for part in parts.values():
        yield from (note for note in part.rows.notes if note not in seen)
        seen.update(part.rows.notes)
    if "validation" in layout.parts and "validation" not in parts and data.test != "validation":
        why = f"train.data.validation is {data.validation}" if data.rules > 1 else "an earlier version began the run"
        yield f"{layout.place}: the validation part is not used, since {why}; train.data.validation=split uses it"
    if "test" in layout.parts and data.test is not None:
        yield f"{layout.place}: the test part is not used, since train.data.test is {data.test}"
    if test_part(data) is None:
        yield (
            f"{layout.place}: {len(parts['test'].labels):,} of "
            f"{len(parts['train'].labels) + len(parts['test'].labels):,} training images are held out as test data"
        )


def _form_notes(headers: Sequence[Header], form: Form) -> Iterator[str]:
    """Yield what is done to images."""
    for mode, count in _counted(header.mode for header in headers).items():
        if mode != form.mode:
            yield f"mode {mode} is read as {form.mode}: {count:,} of {len(headers):,} images"
    if turned := sum(header.orientation > 1 for header in headers):
        yield f"turned upright, as EXIF says: {turned:,} of {len(headers):,} images"
    if form.resize:
        small = sum(min(header.height, header.width) < min(_before_crop(form)) for header in headers)
        if small:
            yield f"enlarged, because they are smaller than train.data.resize: {small:,} of {len(headers):,} images"


def _before_crop(form: Form) -> tuple[int, ...]:
    size = form.resize.size if form.resize else form.height
    return size if isinstance(size, tuple) else (size,)


def _class_notes(names: Sequence[str], counts: Mapping[Role, np.ndarray]) -> Iterator[str]:
    """Yield which classes a part does not have, and whether their sizes differ much."""
    train = counts["train"]
    if train.max() > SKEWED * train.min():
        high, low = int(train.argmax()), int(train.argmin())
        yield (
            f"class {names[high]} has {train[high]:,} train images, class {names[low]} has {train[low]:,}: accuracy "
            "counts the large classes most, train.metric=balanced_accuracy counts all alike"
        )
    for role, found in counts.items():
        if absent := [name for name, count in zip(names, found, strict=True) if not count]:
            shown = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
            yield f"{len(absent)} of {len(names)} classes have no {role} image: {shown}"


def _counted(values: Iterator[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
