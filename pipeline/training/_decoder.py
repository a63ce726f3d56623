"""Decode one image that may come from anywhere, after its size, mode and format were compared with the task."""

import io
import os
import stat
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from zenfront.pipeline.errors import UserError
from zenfront.spaces import Task

FORMATS = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "BMP": (".bmp",), "WEBP": (".webp",)}
"""Pillow's names of the formats that are decoded, with their file extensions.

The list is short because each format is native code that reads what others wrote. EPS would start Ghostscript.
GIF and TIFF are containers of several images, and TIFF one of many formats.
"""
CHANNELS = {"L": 1, "RGB": 3, "P": 3}
"""Channels of Pillow's modes with 8 bits per channel; in mode P a palette gives the three colours."""


def encoded_limit(task: Task) -> int:
    """Return the bytes that an encoded image may have: four times its pixels, and 256 KiB for metadata."""
    return 4 * task.channels * task.height * task.width + 2**18


def read_inside(root: Path, path: str, task: Task) -> bytes:
    """Return the content of an image file that a data set names.

    Args:
        root: Folder of the data set; the file must be inside, also after links are followed.
        path: Absolute, or relative to the folder.
        task: Limits the size of the file.

    Raises:
        UserError: The path leads out of the folder, or to something else than a readable regular file of that size.
    """
    try:
        found = (root / path).resolve(strict=True)
        if not found.is_relative_to(root.resolve()):
            raise UserError(f"the path {_cut(path)} leads out of the data folder {root}. Move the file into it.")
        with open(os.open(found, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:  # a FIFO would block
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"the path {_cut(path)} is not a regular file. Remove it.")
            content = file.read(encoded_limit(task) + 1)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a circle of links; ValueError: a null byte
        raise UserError(f"the file {_cut(path)} cannot be read ({_reason(error)}). Restore it.") from error
    require_size(len(content), task)
    return content


def require_size(size: int, task: Task) -> None:
    """Require an encoded image of at most `encoded_limit` bytes.

    Raises:
        UserError: It is larger.
    """
    if size > encoded_limit(task):
        raise UserError(
            f"an encoded image of this task must have at most {encoded_limit(task):,} bytes, but this one has more. "
            "Remove its metadata, or resize it."
        )


def decode(encoded: bytes, task: Task) -> np.ndarray:
    """Return the pixels (H, W, C), uint8, of an encoded image.

    Nothing is decoded before format, mode and size are known to be right: decoding costs what the task says.

    Raises:
        UserError: The image is damaged, or not what the task says.
    """
    require_size(len(encoded), task)
    try:
        with Image.open(io.BytesIO(encoded), formats=tuple(FORMATS)) as image:
            _require_match(image, task)
            image.load()
            pixels = np.asarray(image.convert("RGB") if image.mode == "P" else image)
            return pixels.reshape(task.height, task.width, task.channels)
    except UserError:
        raise
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise UserError(f"the image cannot be decoded: the format must be one of {known}. Convert it.") from error
    except Exception as error:  # decoders raise nearly every exception at bytes that they did not expect
        raise UserError(f"the image cannot be decoded ({_reason(error)}). Replace it.") from error


def _require_match(image: Image.Image, task: Task) -> None:
    if image.mode not in CHANNELS:
        raise UserError(
            f"an image must be greyscale or RGB with 8 bits per channel, but got Pillow's mode {image.mode!r}. "
            "Convert it."
        )
    if getattr(image, "is_animated", False):
        raise UserError("a file must hold one image, but this one holds several. Replace it.")
    found = (CHANNELS[image.mode], image.height, image.width)
    if found != (task.channels, task.height, task.width):
        raise UserError(
            f"`task` says (channels, height, width) = {(task.channels, task.height, task.width)}, "
            f"but the image is {found}. Correct `task` or the data."
        )


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return _cut(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _cut(text: str) -> str:
    line = text.splitlines()[0] if text else "''"
    return line if len(line) <= 200 else f"{line[:200]}..."
