"""Read images and labels from a parquet file that may come from anywhere, within bounded memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zenfront.pipeline.errors import UserError

BATCH = 256
"""Rows that are read at a time."""
SMALL = 2**28
"""Bytes that a file of any size may unpack to."""
RATIO = 100
"""How many times its size a larger file may unpack to. Encoded images hardly compress: their ratio is near 1."""
PER_ROW = 16
"""Bytes that a row counts, whatever it holds."""
Stored = bytes | str | None
"""An encoded image, the path of its file, or nothing."""


def read_parquet(path: Path, image: str, label: str) -> tuple[list[Stored], list[Any]]:
    """Return the encoded images and the raw labels of a parquet file.

    Values are read as dictionaries, so that a value that a file holds once is held in memory once, however many rows
    repeat it: a file of 1,271 bytes can stand for 16 GB. The sizes that the file states are compared with the limit
    before anything is read.

    Args:
        path: The file.
        image: Column of encoded images, of paths, or of structs with the fields ``bytes`` and ``path``.
        label: Column of labels; if its values are no integers, only the first one is returned.

    Raises:
        UserError: The file lacks a column, has columns of other types, or unpacks to too much.
        Exception: The file is damaged.
    """
    limit = max(SMALL, RATIO * path.stat().st_size)
    with pq.ParquetFile(path) as file:
        leaves = _leaves(path, file.schema_arrow, image, label)
        texts = [column.path for column in _columns(file.schema) if column.physical_type == "BYTE_ARRAY"]
        _require_limit(path, _stated_size(file.metadata, leaves), limit)
    images: list[Stored] = []
    labels: list[Any] = []
    size = 0
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for batch in _batches(file, leaves):
            values = _images(batch.column(image))
            size += PER_ROW * len(values) + sum({id(value): len(value) for value in values if value}.values())
            _require_limit(path, size, limit)
            images += values
            labels += _labels(batch.column(label))
    return images, labels


def _batches(file: pq.ParquetFile, leaves: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for group in range(file.num_row_groups):  # a batch of two groups would have two dictionaries, which pyarrow refuses
        yield from file.iter_batches(batch_size=BATCH, row_groups=[group], columns=leaves, use_threads=False)


def _columns(schema: pq.ParquetSchema) -> list[Any]:
    return [schema.column(index) for index in range(len(schema))]


def _leaves(path: Path, schema: pa.Schema, image: str, label: str) -> list[str]:
    """Return the columns to read, after a look at their types."""
    for key, column in (("image", image), ("label", label)):
        if schema.names.count(column) != 1:
            raise UserError(
                f"{path}: there is {'no' if column not in schema.names else 'more than one'} column {column!r}. "
                f"It has: {', '.join(schema.names[:20])}. Name the right one in `train.data.{key}`."
            )
    kind = schema.field(image).type
    fields = [field for field in kind if field.name in ("bytes", "path")] if pa.types.is_struct(kind) else []
    if not all(_is_text(field.type) for field in fields) or not (fields or _is_text(kind)):
        raise UserError(
            f"{path}, column {image!r}: images must be encoded bytes, or structs of `bytes` and `path`, but the type "
            f"is {str(kind)[:100]}. Write the table with Hugging Face `datasets`."
        )
    if pa.types.is_nested(kind := schema.field(label).type):
        raise UserError(f"{path}, column {label!r}: a label must be an integer, but the type is {str(kind)[:100]}.")
    return [*([f"{image}.{field.name}" for field in fields] or [image]), label]


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    kinds = ("null", "binary", "large_binary", "binary_view", "string", "large_string", "string_view")
    return any(kind == getattr(pa, name)() for name in kinds)


def _stated_size(metadata: pq.FileMetaData, leaves: Sequence[str]) -> int:
    """Return the bytes that the columns unpack to, as the file says."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    values = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in leaves)
    return int(max(values, PER_ROW * metadata.num_rows))


def _require_limit(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise UserError(
            f"{path}: a file of {path.stat().st_size:,} bytes may unpack to {limit:,} bytes, but this one unpacks to "
            "more. Write it again with images in PNG or JPEG."
        )


def _images(column: pa.Array) -> list[Stored]:
    """Return the bytes of each row, or else its path."""
    if not pa.types.is_struct(column.type):
        return _values(column)
    parts = dict(zip((field.name for field in column.type), map(_values, column.flatten()), strict=True))
    nothing: list[Stored] = [None] * len(column)
    pairs = zip(parts.get("bytes", nothing), parts.get("path", nothing), strict=True)
    return [path if content is None else content for content, path in pairs]


def _values(column: pa.Array) -> list[Any]:
    """Return the values of an array; rows that share an entry of a dictionary share the value."""
    if not pa.types.is_dictionary(column.type):
        return list(column.to_pylist())
    indices = column.indices.to_pylist()
    values = {index: column.dictionary[index].as_py() for index in set(indices) - {None}}
    return [values.get(index) for index in indices]


def _labels(column: pa.Array) -> list[Any]:
    if pa.types.is_integer(column.type):
        return list(column.to_pylist())
    return _values(column.slice(0, 1))
