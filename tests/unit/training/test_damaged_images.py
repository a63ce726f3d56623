"""Damaged images and tables, drawn from a seed: each is read, or refused with a `UserError`."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.images.decoding.decoder import decode
from zenfront.pipeline.training.images.decoding.form import Form
from zenfront.pipeline.training.images.source import decode_rows, read_train

FORM = Form(3, 4, 5)
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
INTERESTING = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff")


def encode(pixels: np.ndarray, file_format: str, mode: str | None = None, **options: Any) -> bytes:
    """Return an encoded image."""
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, file_format, **options)
    return file.getvalue()


def corpus() -> list[bytes]:
    """Return valid images of 4 x 5 pixels in many formats and modes."""
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3) * 4
    frames = [Image.fromarray(pixels + np.uint8(step)) for step in range(3)]
    files = [encode(pixels, name) for name in ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM", "EPS", "ICO", "TGA")]
    files += [encode(pixels, "PNG", mode) for mode in ("L", "P", "1", "RGBA", "LA", "I;16")]
    files += [encode(pixels, "JPEG", mode) for mode in ("L", "CMYK")]
    files += [
        encode(pixels, "JPEG", progressive=True),
        encode(pixels, "WEBP", lossless=True),
        encode(pixels, "BMP", "P"),
    ]
    files += [
        encode(pixels, name, save_all=True, append_images=frames) for name in ("PNG", "WEBP", "GIF", "TIFF", "MPO")
    ]
    exif = Image.Exif()
    exif[0x010E] = "text" * 100
    files += [encode(pixels, name, exif=exif, icc_profile=bytes(500)) for name in ("PNG", "JPEG", "WEBP")]
    return files


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Return data with some bytes changed, removed, repeated or inserted; the checksums of a PNG are made right."""
    content = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        place, length = int(rng.integers(0, len(content) + 1)), int(rng.integers(1, 17))
        piece = INTERESTING[rng.integers(len(INTERESTING))] if rng.random() < 0.5 else rng.bytes(length)
        kind = rng.integers(0, 5)
        if kind == 0:
            content[place : place + len(piece)] = piece
        elif kind == 1:
            content[place:place] = piece
        elif kind == 2:
            del content[place : place + length]
        elif kind == 3:
            content[place:place] = content[place : place + 20 * length]
        elif rng.random() < 0.2:
            del content[place:]
    return _with_checksums(bytes(content)) if rng.random() < 0.8 else bytes(content)


def _with_checksums(data: bytes) -> bytes:
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    parts, place = [data[:8]], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        body = data[place + 4 : place + 8 + length]
        parts += [data[place : place + 4], body, struct.pack(">I", zlib.crc32(body))]
        place += 12 + length
    return b"".join(parts)


def table(rng: np.random.Generator) -> bytes:
    """Return a parquet file of random types, encodings and values, sometimes damaged."""
    rows = int(rng.integers(0, 12))
    pick: Callable[[int], bool] = lambda one_in: bool(rng.integers(one_in) == 0)  # noqa: E731
    good = pick(2)
    files = corpus()[: 4 if good else None]
    images = [None if not good and pick(8) else files[rng.integers(len(files))] for _ in range(rows)]
    paths = [
        None if pick(2) else str(rng.choice(["a.png", "/etc/passwd", "../x", "", "a\0b", "x" * 300])) for _ in images
    ]
    columns: list[pa.Array] = [
        pa.array(
            [None if not good and pick(9) else {"bytes": i, "path": p} for i, p in zip(images, paths, strict=True)],
            STRUCT,
        ),
        pa.array(images, pa.binary()),
        pa.array(images, pa.large_binary()),
        pa.array(images, pa.binary()).dictionary_encode(),
        pa.array(paths, pa.string()),
        pa.array([None if i is None else [i] for i in images], pa.list_(pa.binary())),
        pa.array(
            [{"bytes": {"bytes": i}} for i in images], pa.struct([("bytes", pa.struct([("bytes", pa.binary())]))])
        ),
        pa.array(
            [{"path": p, "more": [1]} for p in paths], pa.struct([("path", pa.string()), ("more", pa.list_(pa.int8()))])
        ),
        pa.array([None] * rows, pa.null()),
        pa.array(range(rows), pa.float64()),
    ]
    values = [row % 2 for row in range(rows)]
    labels: list[pa.Array] = [
        *(pa.array(values, pa.int64()).cast(kind) for kind in ("int64", "int8", "uint64", "float32", "bool", "string")),
        pa.array([str(value) for value in values], pa.string()).dictionary_encode(),
        pa.array(values, pa.int64()).dictionary_encode(),
        pa.array([None if pick(3) else value for value in values], pa.int32()),
        pa.array([[value] for value in values], pa.list_(pa.int64())),
        pa.array([2**63 - 1 - value for value in values], pa.int64()),
    ]
    image = columns[0 if good or pick(2) else rng.integers(len(columns))]
    label = labels[0 if good or pick(2) else rng.integers(len(labels))]
    names = ["img", "label"] if not pick(8) else [str(rng.choice(["img", "label", "img.bytes", ""])) for _ in range(2)]
    file = io.BytesIO()
    codec = str(rng.choice(["none", "snappy", "gzip", "zstd", "brotli", "lz4"]))
    pq.write_table(
        pa.Table.from_arrays([image, label], names=names),
        file,
        compression=codec,
        use_dictionary=pick(2),
        row_group_size=int(rng.integers(1, 6)),
        data_page_version=str(rng.choice(["1.0", "2.0"])),
    )
    return mutate(file.getvalue(), rng) if pick(2) else file.getvalue()


def test_damaged_images_are_decoded_or_refused() -> None:
    """A short run of what has been done for ten minutes."""
    rng = np.random.default_rng(0)
    files, refused = corpus(), 0
    for _ in range(1500):
        try:
            assert decode(mutate(files[rng.integers(len(files))], rng), FORM).shape == (4, 5, 3)
        except UserError:
            refused += 1
    assert 500 < refused < 1500


def test_damaged_tables_are_read_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "a.png").write_bytes(corpus()[0])
    refused = 0
    for _ in range(100):
        content = table(rng)
        for role in ("train", "test"):
            (tmp_path / f"{role}.parquet").write_bytes(content)
        try:
            source = read_train(Data(source=str(tmp_path)))
            assert decode_rows(source.rows, np.arange(len(source.labels)), FORM).shape[1:] == (3, 4, 5)
        except UserError:
            refused += 1
    assert 30 < refused < 100
