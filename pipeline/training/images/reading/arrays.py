"""Images that a table holds as lists of numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from zenfront.pipeline.errors import UserError


def is_array(kind: pa.DataType) -> bool:
    """Return whether a type is a list of lists of numbers, as (H, W) or (H, W, C) arrays have."""
    depth = 0
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    return depth in (2, 3) and (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def pixels_of(column: pa.Array, path: Path, name: str, first: int) -> list[np.ndarray | None]:
    """Return the images (H, W) or (H, W, C), uint8, of a column of lists.

    Args:
        column: The column.
        path: The file, for messages.
        name: Name of the column, for messages.
        first: Number of its first row.

    Raises:
        UserError: The lists of a row have different lengths, or a value is no whole number from 0 to 255.
    """
    return [
        _pixels(value, f"{path}, row {first + row}, column {name!r}") for row, value in enumerate(column.to_pylist())
    ]


def _pixels(rows: Any, place: str) -> np.ndarray | None:
    if rows is None:
        return None
    try:
        values = np.array(rows)
    except ValueError:
        values = np.empty(0)
    if values.dtype.kind not in "biuf" or values.ndim not in (2, 3) or not values.size:
        raise UserError(
            f"{place}: the numbers of an image must be lists of equal length, height x width or height x width x "
            "channels, without gaps. Correct the row."
        )
    if values.ndim == 3 and values.shape[2] not in (1, 2, 3, 4):
        first = " The channels come first: write image.transpose(1, 2, 0)." if values.shape[0] in (1, 3, 4) else ""
        raise UserError(
            f"{place}: an image must be height x width x channels with 1 to 4 channels, but is {values.shape}.{first}"
        )
    odd = values[~((values >= 0) & (values <= 255) & (values == np.floor(values)))]
    if odd.size:
        raise UserError(f"{place}: pixels must be whole numbers from 0 to 255, but got {odd[0]:.6g}. {_advice(values)}")
    pixels = values.astype(np.uint8)
    return pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def _advice(values: np.ndarray) -> str:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low >= 0 and high <= 1:
        return "Write (255 * image).round().astype('uint8')."
    if low >= 0 and high < 2**16 and values.dtype.kind in "iu":
        bits = next(bits for bits in (10, 12, 14, 16) if high < 2**bits)
        return f"If the images have {bits} bits, write (image >> {bits - 8}).astype('uint8')."
    return "Scale the images to 0 .. 255 and write them as uint8."
