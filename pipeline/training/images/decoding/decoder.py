"""Decode one image that may come from anywhere, after its format, size and mode were looked at."""

import io
import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.training.images.decoding.convert import check_mode, in_form
from zenfront.pipeline.training.images.decoding.form import LARGEST, LARGEST_FILE, Form
from zenfront.pipeline.training.images.decoding.part import Part
from zenfront.pipeline.training.images.reading.rows import ImageFile, Stored, fetched

FORMATS = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "BMP": (".bmp",), "WEBP": (".webp",)}
"""Pillow's names of the formats that are decoded, with their file extensions.

The list is short because each format is native code that reads what others wrote. EPS would start Ghostscript.
GIF and TIFF are containers of several images, and TIFF one of many formats.
"""
ORIENTATION = 0x0112
"""Tag of EXIF: 1 is upright, 5 to 8 exchange height and width."""
TO_PNG = "Convert it: python -c \"from PIL import Image; Image.open('FILE').save('FILE.png')\""


@dataclass(frozen=True)
class Header:
    """Properties of an image that are read without decoding it.

    Attributes:
        height: Height in pixels, as it is looked at.
        width: Width in pixels, as it is looked at.
        mode: Pillow's mode, or for colours with 16 bits per channel the mode and ``;16``.
        orientation: Orientation that EXIF states, 1 .. 8.
        size: Bytes of the encoded image.
    """

    height: int
    width: int
    mode: str
    orientation: int = 1
    size: int = 0


def read_header(stored: Stored, rules: int = 2, largest: int = LARGEST_FILE) -> Header:
    """Return what an image says about itself; the pixels are not decoded.

    Args:
        stored: The image.
        rules: Rules of reading, as in `Form`.
        largest: Bytes that an encoded image may have.

    Raises:
        UserError: There is no image, or none that can be decoded.
    """
    stored = fetched(stored)
    if isinstance(stored, np.ndarray):
        return Header(stored.shape[0], stored.shape[1], Image.fromarray(stored).mode)
    with _opened(stored, largest) as (file, size), _image(file) as image:
        return _header(image, file, size, rules)


def decode(stored: Stored, form: Form, draw: Callable[[int, int], Part] | None = None) -> np.ndarray:
    """Return the pixels (H, W, C), uint8, of an image in the form of the experiment.

    Nothing is decoded before format, mode and size are known to be right.

    Args:
        stored: The image.
        form: The form.
        draw: Function that draws the part of an image of a height and a width that is kept.

    Raises:
        UserError: The image is damaged, or cannot get that form.
    """
    stored = fetched(stored)
    if isinstance(stored, np.ndarray):
        image = Image.fromarray(stored)
        check_form(Header(image.height, image.width, image.mode), form)
        return in_form(image, image.mode, 1, form, draw(image.height, image.width) if draw else None)
    with _opened(stored, form.largest_file) as (file, size), _image(file) as image:
        header = _header(image, file, size, form.rules)
        check_form(header, form)
        part = draw(header.height, header.width) if draw else None
        if form.resize:  # a JPEG can be decoded at a fraction of its size; twice the result keeps its quality
            share = min(part.height, part.width) if part else 1.0
            image.draft(image.mode, (math.ceil(2 * max(form.resize.shape) / share),) * 2)
        image.load()
        return in_form(image, header.mode, header.orientation, form, part)


def check_form(header: Header, form: Form) -> None:
    """Check that an image can get the form of the experiment, as far as its header says.

    Raises:
        UserError: It has another size, or a mode that must not be converted.
    """
    check_mode(header.mode, form)
    if header.size:
        _require_size(header.size, form.largest_file)
    found = (header.height, header.width)
    if form.resize is None and found != (form.height, form.width):
        raise UserError(
            f"the image is {size_text(*found)}, but `task` says {size_text(form.height, form.width)}. Set task=auto, "
            f"or resize all images: {resize_option(form.height, form.width)}"
        )
    if header.height * header.width > LARGEST:
        raise UserError(
            f"an image may have at most {LARGEST:,} pixels, but this one is {size_text(*found)}. Save it smaller."
        )


def resize_option(height: int, width: int) -> str:
    """Return the option that resizes all images, for a message."""
    size = f"size: {height}, crop: {height}" if height == width else f"size: [{height}, {width}]"
    return f"--set 'train.data.resize={{{size}}}'"


def size_text(height: int, width: int) -> str:
    """Return a size in words."""
    return f"{height} high, {width} wide"


def encoded(stored: Stored) -> bytes:
    """Return an image as bytes that `decode` takes: those of its file, or pixels as a PNG.

    Raises:
        UserError: There is no image, or its file cannot be read.
    """
    stored = fetched(stored)
    if isinstance(stored, np.ndarray):
        file = io.BytesIO()
        Image.fromarray(stored).save(file, "PNG")
        return file.getvalue()
    with _opened(stored, LARGEST_FILE) as (opened, _):
        return opened.read()


@contextmanager
def _opened(stored: bytes | ImageFile | None, largest: int) -> Iterator[tuple[BinaryIO, int]]:
    """Open an encoded image, and return it with its size."""
    if stored is None:
        raise UserError("there is no image. Remove the row or restore the image.")
    if isinstance(stored, bytes):
        _require_size(len(stored), largest)
        yield io.BytesIO(stored), len(stored)
        return
    with _inside(stored) as file:
        size = os.fstat(file.fileno()).st_size
        _require_size(size, largest)
        yield file, size


@contextmanager
def _inside(stored: ImageFile) -> Iterator[BinaryIO]:
    """Open a file that a data set names: a regular one that lies in its folder, also after links are followed."""
    root, path = stored
    try:
        found = (root / path).resolve(strict=True)
        if not found.is_relative_to(root.resolve()):
            raise UserError(
                f"the path {_cut(path)} leads out of the data folder {root}. Copy the file into it (cp -L), or make "
                "the whole class folder the link."
            )
        descriptor = os.open(found, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)  # a FIFO would block
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a circle of links; ValueError: a null byte
        raise UserError(f"the file {_cut(path)} cannot be read ({_reason(error)}). Restore it.") from error
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        what = "is a directory" if stat.S_ISDIR(kind) else "is not a regular file"
        raise UserError(f"the path {_cut(path)} {what}. Remove it.")
    with open(descriptor, "rb") as file:
        yield file


def _require_size(size: int, largest: int) -> None:
    if size == 0:
        raise UserError("the file of the image is empty. Restore or remove it.")
    if size > largest:
        raise UserError(
            f"an encoded image of this task must have at most {largest:,} bytes, but this one has {size:,}. "
            "Remove its metadata, or save it smaller; images of any size are read with `train.data.resize`."
        )


@contextmanager
def _image(file: BinaryIO) -> Iterator[Image.Image]:
    try:
        with Image.open(file, formats=tuple(FORMATS)) as image:
            yield image
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(
            f"the image cannot be decoded: the format must be one of {', '.join(FORMATS)}. {TO_PNG}"
        ) from error
    except Exception as error:  # decoders raise nearly every exception at bytes that they did not expect
        raise UserError(f"the image cannot be decoded ({_reason(error)}). Replace it.") from error


def _header(image: Image.Image, file: BinaryIO, size: int, rules: int) -> Header:
    # The first picture of an MPO, which telephones write, is the photograph; the others are its depth, say.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise UserError(f"a file must hold one image, but this one holds several. {TO_PNG}")
    orientation = _orientation(image) if rules > 1 else 1
    height, width = image.size if orientation > 4 else image.size[::-1]
    deep = rules > 1 and image.format == "PNG" and image.mode in ("RGB", "RGBA") and _png_depth(file) == 16
    return Header(height, width, f"{image.mode};16" if deep else image.mode, orientation, size)


def _orientation(image: Image.Image) -> int:
    if not {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"} & image.info.keys():
        return 1  # asking a PNG without them would decode it
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged metadata do not damage the picture, and viewers ignore them
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _png_depth(file: BinaryIO) -> int:
    """Return the bits per channel; Pillow shows colours with 16 bits as if they had 8."""
    here = file.tell()
    file.seek(24)
    depth = file.read(1)
    file.seek(here)
    return depth[0] if depth else 0


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return _cut(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _cut(text: str) -> str:
    line = text.splitlines()[0] if text else "''"
    return line if len(line) <= 200 else f"{line[:200]}..."
