"""Read images and labels from a parquet file that may come from anywhere, within bounded memory."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.training.images.reading.arrays import is_array, pixels_of
from zenfront.pipeline.training.images.reading.large_parquet import LargeParquet
from zenfront.pipeline.training.images.reading.rows import Cell, ImageFile, Stored

BATCH = 256
"""Rows that are read at a time."""
FEW = 32
"""Rows of a large file that are read at a time."""
SMALL = 2**28
"""Bytes that a file of any size may unpack to."""
RATIO = 100
"""Largest ratio of the unpacked size of a larger file to its size. Encoded images hardly compress: it is near 1."""
PER_ROW = 16
"""Bytes that a row counts, whatever it holds."""
PER_VALUE = 8
"""Bytes that a number of an array takes while it is read."""
LARGE_FILES = b"version https://git-lfs"


def read_parquet(path: Path, folder: Path, root: Path, image: str, label: str) -> tuple[list[Stored], list[Any]]:
    """Return the images and the raw labels of a parquet file.

    Values are read as dictionaries, so that a value that a file holds once is held in memory once, however many rows
    repeat it: a file of 1,271 bytes can stand for 16 GB. The sizes that the file states are compared with the limit
    before anything is read.

    Args:
        path: The file.
        folder: Folder that paths of images are relative to.
        root: Folder of the data set, which their files must lie in.
        image: Column of encoded images, of paths, of structs with the fields ``bytes`` and ``path``, or of lists of
            whole numbers, the pixels.
        label: Column of labels.

    Raises:
        UserError: The file lacks a column, has columns of other types, or unpacks to too much.
        Exception: The file is damaged.
    """
    _require_content(path)
    limit = max(SMALL, RATIO * path.stat().st_size)
    with pq.ParquetFile(path) as file:
        leaves = _leaves(path, file.schema_arrow, image, label)
        texts = [column.path for column in _columns(file.schema) if column.physical_type == "BYTE_ARRAY"]
        _require_limit(path, _stated_size(file, leaves), limit)
    images: list[Stored] = []
    labels: list[Any] = []
    size = 0
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for batch in _batches(file, leaves):
            column = batch.column(image)
            if is_array(column.type):
                pixels = pixels_of(column, path, image, len(images))
                size += PER_VALUE * sum(value.size for value in pixels if value is not None)
                images += pixels
            else:
                values = _images(column)
                size += sum({id(value): len(value) for value in values if value}.values())
                images += [
                    ImageFile(root, str(folder / value)) if isinstance(value, str) else value for value in values
                ]
            size += PER_ROW * len(column)
            _require_limit(path, size, limit)
            labels += _values(batch.column(label))
    return images, labels


def read_large_parquet(path: Path, folder: Path, root: Path, image: str, label: str) -> tuple[list[Stored], list[Any]]:
    """Return the images and the raw labels of a parquet file as `read_parquet`; images are read when they are needed.

    Arrays of pixels are read at once.
    """
    _require_content(path)
    with pq.ParquetFile(path) as file:
        leaves = _leaves(path, file.schema_arrow, image, label)
        texts = [column.path for column in _columns(file.schema) if column.physical_type == "BYTE_ARRAY"]
        if is_array(file.schema_arrow.field(image).type):
            return read_parquet(path, folder, root, image, label)
        limit = max(SMALL, RATIO * path.stat().st_size)
        _require_limit(path, _stated_size(file, leaves), limit)
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        labels = [value for batch in _batches(file, [label]) for value in _values(batch.column(label))]

    def images(batch: pa.RecordBatch) -> list[Stored]:
        values = _images(batch.column(image))
        _require_limit(path, sum({id(value): len(value) for value in values if value}.values()), limit)
        return [ImageFile(root, str(folder / value)) if isinstance(value, str) else value for value in values]

    large = LargeParquet(path, leaves[:-1], texts, FEW, images)
    return [Cell(large, row) for row in range(len(labels))], labels


def columns(path: Path) -> dict[str, str]:
    """Return the columns of a parquet file, and whether each may hold ``images``, ``labels``, or ``both``.

    Raises:
        UserError: The file is only a pointer of git-lfs.
        Exception: The file is damaged.
    """
    _require_content(path)
    return {field.name: _use(field.type) for field in pq.read_schema(path)}


def _use(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or is_array(kind):
        return "images"
    return "both" if _is_text(kind) else "labels"


def class_names(path: Path, label: str) -> tuple[str, ...] | None:
    """Return the names of the labels 0, 1, ... that Hugging Face `datasets` has written, if there are any."""
    stated = (pq.read_schema(path).metadata or {}).get(b"huggingface", b"{}")
    try:
        names = json.loads(stated)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) and len(set(map(str, names))) == len(names) else None


def _require_content(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(LARGE_FILES)) == LARGE_FILES:
            raise UserError(f"{path}: the file is only a pointer of git-lfs. Fetch its content with `git lfs pull`.")


def _batches(file: pq.ParquetFile, leaves: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for group in range(file.num_row_groups):  # a batch of two groups would have two dictionaries, which pyarrow refuses
        yield from file.iter_batches(batch_size=BATCH, row_groups=[group], columns=leaves, use_threads=False)


def _columns(schema: pq.ParquetSchema) -> list[Any]:
    return [schema.column(index) for index in range(len(schema))]


def _leaves(path: Path, schema: pa.Schema, image: str, label: str) -> list[str]:
    """Return the columns to read, after a look at their types."""
    for key, column in (("image", image), ("label", label)):
        if schema.names.count(column) != 1:
            raise UserError(missing_column(path, schema.names, key, column))
    kind = schema.field(image).type
    fields = [field for field in kind if field.name in ("bytes", "path")] if pa.types.is_struct(kind) else []
    if not all(_is_text(field.type) for field in fields) or not (fields or _is_text(kind) or is_array(kind)):
        raise UserError(
            f"{path}, column {image!r}: images must be encoded bytes, structs of `bytes` and `path`, paths, or lists "
            f"of whole numbers from 0 to 255, but the type is {str(kind)[:100]}. Write the table with Hugging Face "
            "`datasets`: dataset.to_parquet(...) of a column of type Image."
        )
    if pa.types.is_nested(kind := schema.field(label).type):
        raise UserError(
            f"{path}, column {label!r}: a label must be an integer or a text, but the type is {str(kind)[:100]}. Keep "
            "one label per image."
        )
    return [*([f"{image}.{field.name}" for field in fields] or [image]), label]


def missing_column(path: Path, names: Sequence[str], key: str, column: str) -> str:
    """Return the message about a column that is missing or there twice."""
    how_many = "no" if column not in names else "more than one"
    return (
        f"{path}: there is {how_many} column {column!r}. It has: {', '.join(names[:20])}. "
        f"Name the right one: --set train.data.{key}=COLUMN"
    )


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    kinds = ("null", "binary", "large_binary", "binary_view", "string", "large_string", "string_view")
    return any(kind == getattr(pa, name)() for name in kinds)


def _stated_size(file: pq.ParquetFile, leaves: Sequence[str]) -> int:
    """Return the bytes that the columns unpack to, as the file says."""
    metadata = file.metadata
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    chosen = [chunk for chunk in chunks if f"{chunk.path_in_schema}.".startswith(tuple(f"{leaf}." for leaf in leaves))]
    values = sum(chunk.total_uncompressed_size for chunk in chosen)
    numbers = sum(chunk.num_values for chunk in chosen if chunk.physical_type != "BYTE_ARRAY")
    return int(max(values, PER_VALUE * numbers, PER_ROW * metadata.num_rows))


def _require_limit(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise UserError(
            f"{path}: a file of {path.stat().st_size:,} bytes may unpack to {limit:,} bytes, but this one unpacks to "
            "more. Write it again with images in PNG or JPEG."
        )


def _images(column: pa.Array) -> list[Any]:
    """Return the bytes of each row, or else its path."""
    if not pa.types.is_struct(column.type):
        return _values(column)
    parts = dict(zip((field.name for field in column.type), map(_values, column.flatten()), strict=True))
    nothing: list[Any] = [None] * len(column)
    pairs = zip(parts.get("bytes", nothing), parts.get("path", nothing), strict=True)
    return [path if content is None else content for content, path in pairs]


def _values(column: pa.Array) -> list[Any]:
    """Return the values of an array; rows that share an entry of a dictionary share the value."""
    if not pa.types.is_dictionary(column.type):
        return list(column.to_pylist())
    indices = column.indices.to_pylist()
    values = {index: column.dictionary[index].as_py() for index in set(indices) - {None}}
    return [values.get(index) for index in indices]
