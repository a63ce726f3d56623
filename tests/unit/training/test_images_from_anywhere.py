"""Images and tables may come from anywhere: they run, open and unpack nothing, and one message says what is wrong."""

import io
import os
import struct
import tracemalloc
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import EpsImagePlugin, Image, ImageFile

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.images.decoding.decoder import decode
from zenfront.pipeline.training.images.decoding.form import Form
from zenfront.pipeline.training.images.source import decode_rows, read_part, read_train

FORM = Form(3, 4, 5)
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
PIXELS = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


def encode(pixels: np.ndarray, file_format: str, mode: str | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, file_format, **options)
    return file.getvalue()


GOOD = encode(PIXELS, "PNG")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def palette_png(width: int, height: int) -> bytes:
    """Return a palette PNG of zeros: each pixel costs a thousandth of a byte."""
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    content = zlib.compress(bytes((width + 1) * height), 9)
    chunks = chunk(b"IHDR", header) + chunk(b"PLTE", bytes(3)) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def write(folder: Path, rows: Sequence[Mapping[str, Any] | None], **options: Any) -> Data:
    folder.mkdir(exist_ok=True)
    content = pa.table({"img": pa.array(rows, STRUCT), "label": [row % 2 for row in range(len(rows))]})
    for role in ("train", "test"):
        pq.write_table(content, folder / f"{role}.parquet", **options)
    return Data(source=str(folder))


def read(data: Data) -> np.ndarray:
    """Return the training images (N, C, H, W)."""
    source = read_train(data)
    return decode_rows(source.rows, np.arange(len(source.labels)), FORM)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "WEBP", "JPEG"])
def test_the_formats_that_are_decoded(file_format: str) -> None:
    options: dict[str, Any] = {"lossless": True} if file_format == "WEBP" else {}
    pixels = decode(encode(PIXELS, file_format, **options), FORM)
    assert pixels.shape == (4, 5, 3)
    assert np.abs(pixels.astype(int) - PIXELS).max() <= (12 if file_format == "JPEG" else 0)


@pytest.mark.parametrize("file_format", ["EPS", "GIF", "TIFF", "PPM", "ICO", "TGA"])
def test_other_formats_are_refused(file_format: str) -> None:
    with pytest.raises(UserError, match="format must be one of PNG, JPEG, BMP, WEBP"):
        decode(encode(PIXELS, file_format), FORM)


def test_an_eps_never_starts_ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ghostscript(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", ghostscript)
    data = write(tmp_path, [{"bytes": encode(PIXELS, "EPS"), "path": "a.png"}] * 4)
    with pytest.raises(UserError, match=r"train\.parquet, row 0, column 'img': .* format must be"):
        read(data)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (palette_png(9_000, 9_000), "9000 high, 9000 wide"),
        (encode(np.zeros((900, 900, 3), np.uint8), "WEBP", lossless=True), "900 high, 900 wide"),
        (encode(PIXELS, "JPEG", "CMYK"), "mode 'CMYK'"),
        (encode(PIXELS, "PNG", "I;16") + bytes(2**20), "must have at most"),
        (encode(PIXELS, "PNG", save_all=True, append_images=[Image.fromarray(PIXELS + np.uint8(9))]), "holds several"),
        (encode(PIXELS, "WEBP", save_all=True, append_images=[Image.fromarray(PIXELS + np.uint8(9))]), "holds several"),
        (GOOD + bytes(2**20), "must have at most 262,464 bytes"),
    ],
    ids=["palette", "webp", "CMYK", "16 bits", "animated PNG", "animated WEBP", "large file"],
)
def test_nothing_is_decoded_before_it_is_known_to_fit(
    image: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(image: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(UserError, match=message):
        decode(image, FORM)


def test_a_text_that_unpacks_to_a_gigabyte_is_refused() -> None:
    bomb = chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(10**8), 9))
    tracemalloc.start()
    with pytest.raises(UserError, match="cannot be decoded"):
        decode(GOOD[:33] + bomb + GOOD[33:], FORM)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize(
    "error",
    [
        Image.DecompressionBombError("b"),
        SyntaxError("s"),
        struct.error("s"),
        EOFError(),
        OverflowError("o"),
        MemoryError(),
        IndexError("i"),
        ZeroDivisionError("z"),
        RecursionError("r"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_decoder_raises_is_one_message(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(image: Image.Image) -> None:
        raise error

    data = write(tmp_path, [{"bytes": GOOD, "path": None}] * 4)
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(UserError, match=rf"train\.parquet, row 0, column 'img': .*{type(error).__name__}.*Replace it"):
        read(data)


def test_a_path_names_a_file_inside_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    (data / "deep" / "a.png").write_bytes(GOOD)
    (data / "link.png").symlink_to(data / "deep" / "a.png")
    paths = ["deep/a.png", "deep/../link.png", str(data / "deep" / "a.png"), "link.png"]
    images = read(write(data, [{"bytes": None, "path": path} for path in paths]))
    assert np.array_equal(images, np.stack([PIXELS.transpose(2, 0, 1)] * 4))


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/etc/passwd", "leads out of the data folder"),
        ("../outside.png", "leads out of the data folder"),
        ("link.png", "leads out of the data folder"),
        ("folder/inside.png", "leads out of the data folder"),
        ("fifo", "is not a regular file"),
        ("/dev/zero", "leads out of the data folder"),
        ("deep", "is a directory"),
        ("circle", "cannot be read"),
        ("nowhere.png", "cannot be read .*No such file"),
        ("a\0b", "cannot be read"),
        ("x" * 5000, "cannot be read .*File name too long"),
        ("huge.png", "at most 262,464 bytes"),
        ("", "is a directory"),
        (None, "there is no image"),
    ],
)
def test_a_path_that_names_anything_else_is_refused(path: str | None, message: str, tmp_path: Path) -> None:
    (tmp_path / "outside.png").write_bytes(GOOD)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "inside.png").write_bytes(GOOD)
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    (data / "link.png").symlink_to(tmp_path / "outside.png")
    (data / "folder").symlink_to(tmp_path / "other")
    (data / "circle").symlink_to(data / "circle")
    os.mkfifo(data / "fifo")
    with (data / "huge.png").open("wb") as file:
        file.truncate(10**12)
    rows: list[dict[str, Any]] = [{"bytes": GOOD, "path": "/etc/passwd"}, {"bytes": None, "path": path}]
    with pytest.raises(UserError, match=rf"train\.parquet, row 1, column 'img': .*{message}") as caught:
        read(write(data, rows))
    assert len(str(caught.value)) < 800


def test_a_link_in_an_image_folder_cannot_lead_out(tmp_path: Path) -> None:
    for role in ("train", "test"):
        for name in ("ant", "bee"):
            (tmp_path / "data" / role / name).mkdir(parents=True)
            (tmp_path / "data" / role / name / "0.png").write_bytes(GOOD)
    (tmp_path / "outside.png").write_bytes(GOOD)
    (tmp_path / "data" / "train" / "bee" / "1.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(UserError, match=r"train/bee/1.png: .* train/bee/1\.png leads out of the data folder"):
        read(Data(source=str(tmp_path / "data")))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/bee/more/0.png", "bee/more: a class folder must hold images, but .* with 1 file"),
        (
            "test/cat/0.png",
            r"cat/0\.png: .*test has the class 'cat', which .*train does not .*1 image of 3.*'ant', 'bee'",
        ),
    ],
)
def test_what_is_no_image_of_a_class_is_named(name: str, message: str, tmp_path: Path) -> None:
    for role in ("train", "test"):
        for other in ("ant", "bee"):
            (tmp_path / role / other).mkdir(parents=True)
            (tmp_path / role / other / "0.png").write_bytes(GOOD)
    (tmp_path / "train" / "bee" / ".hidden").write_text("skipped")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(GOOD)
    data = Data(source=str(tmp_path))
    with pytest.raises(UserError, match=message):
        read_part(data, "test", read_train(data).classes)


@pytest.mark.parametrize("dictionary_limit", [100, 2**20], ids=["dictionary that overflows", "dictionary"])
@pytest.mark.parametrize("rows_of_a_group", [7, 300, 1000])
def test_rows_keep_their_order_over_groups(rows_of_a_group: int, dictionary_limit: int, tmp_path: Path) -> None:
    pictures = [np.full((4, 5, 3), index % 250, np.uint8) for index in range(700)]
    rows = [{"bytes": encode(picture, "PNG"), "path": f"{index}.png"} for index, picture in enumerate(pictures)]
    images = read(write(tmp_path, rows, row_group_size=rows_of_a_group, dictionary_pagesize_limit=dictionary_limit))
    assert images[:, 0, 0, 0].tolist() == [index % 250 for index in range(700)]


def test_a_value_that_a_thousand_rows_repeat_is_held_once(tmp_path: Path) -> None:
    """The image of 16 MiB stands a thousand times in a file of some kilobytes: 16 GB, if each row had its own."""
    indices = pa.array(np.zeros(1000, np.int32))
    images = pa.DictionaryArray.from_arrays(indices, pa.array([bytes(2**24)]))
    for role in ("train", "test"):
        content = pa.table({"img": images, "label": [0, 1] * 500})
        pq.write_table(content, tmp_path / f"{role}.parquet", compression="zstd", dictionary_pagesize_limit=2**30)
    assert (tmp_path / "train.parquet").stat().st_size < 2**15
    before = pa.default_memory_pool().max_memory()
    tracemalloc.start()
    with pytest.raises(UserError, match=r"row 0, .* at most 262,464 bytes"):
        read(Data(source=str(tmp_path)))
    assert tracemalloc.get_traced_memory()[1] < 2**27
    tracemalloc.stop()
    assert pa.default_memory_pool().max_memory() <= max(before, 2**27)


@pytest.mark.parametrize("kind", ["values", "rows"])
def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_it(*_: object, **__: object) -> None:
        raise AssertionError("read")

    rows: list[dict[str, Any] | None] = [{"bytes": bytes(2**20) + bytes([row]), "path": None} for row in range(4)]
    monkeypatch.setattr("zenfront.pipeline.training.images.reading.parquet.SMALL", 2**21 if kind == "values" else 50)
    monkeypatch.setattr("zenfront.pipeline.training.images.reading.parquet.RATIO", 0)
    data = write(tmp_path, rows if kind == "values" else [None] * 10, compression="zstd", use_dictionary=False)
    monkeypatch.setattr("pyarrow.parquet.ParquetFile.iter_batches", read_it)
    with pytest.raises(UserError, match=r"train\.parquet: a file of [\d,]+ bytes may unpack to [\d,]+ bytes"):
        read(data)


def test_images_that_do_not_fit_into_memory_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: 10)
    with pytest.raises(UserError, match=r"4 decoded images need 240 bytes, .* 100 bytes .*train\.data\.limit"):
        read(write(tmp_path, [{"bytes": GOOD, "path": None}] * 4))


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.binary()),
        pa.binary(4),
        pa.struct([("bytes", pa.list_(pa.int8()))]),
        pa.struct([("other", pa.binary())]),
        pa.map_(pa.string(), pa.binary()),
        pa.float64(),
    ],
    ids=str,
)
def test_columns_of_other_types_are_refused_before_they_are_read(kind: pa.DataType, tmp_path: Path) -> None:
    for role in ("train", "test"):
        pq.write_table(pa.table({"img": pa.nulls(2, kind), "label": [0, 1]}), tmp_path / f"{role}.parquet")
    with pytest.raises(UserError, match="column 'img': images must be encoded bytes, structs"):
        read(Data(source=str(tmp_path)))
