"""Images of every mode, depth, orientation and size become those of the task, or a message says how to convert them."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data, Resize
from zenfront.pipeline.training.images.decoding.decoder import decode, read_header
from zenfront.pipeline.training.images.decoding.form import Form
from zenfront.spaces import Task

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (4, 5), dtype=np.uint8)
BITS = np.where(GREY > 99, 255, 0).astype(np.uint8)
OPAQUE = np.dstack([COLOURS, np.full((4, 5), 255, np.uint8)])
CLEAR = np.dstack([COLOURS, np.where(np.arange(5) > 2, 0, 255) * np.ones((4, 1), np.uint8)]).astype(np.uint8)
DEEP = (GREY.astype(np.uint16) + 1) * 200


def encode(image: Image.Image | np.ndarray, file_format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, file_format, **options)
    return file.getvalue()


def png_of_16_bits(values: np.ndarray) -> bytes:
    """Return a colour PNG (H, W, 3) with 16 bits per channel, which Pillow cannot write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, _ = values.shape
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    content = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


def stacked(grey: np.ndarray) -> np.ndarray:
    return np.dstack([grey] * 3)


PALETTE = Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE)
ON_WHITE = np.where(CLEAR[:, :, 3:] == 0, 255, COLOURS)
LUMINANCE = np.asarray(Image.fromarray(COLOURS).convert("L"))[:, :, None]
CMYK = Image.fromarray(COLOURS).convert("CMYK")

# Image, channels of the task, and the result without loss, or what the message says and the result with `convert`.
MODES: dict[str, tuple[bytes, int, np.ndarray | str, np.ndarray | None]] = {
    "1 bit": (encode(Image.fromarray(BITS).convert("1")), 1, BITS[:, :, None], None),
    "1 bit as colours": (encode(Image.fromarray(BITS).convert("1")), 3, stacked(BITS), None),
    "grey as colours": (encode(GREY), 3, stacked(GREY), None),
    "grey with alpha": (encode(np.dstack([GREY, 0 * GREY + 255])), 1, GREY[:, :, None], None),
    "grey with alpha, kept": (encode(np.dstack([GREY, BITS])), 2, np.dstack([GREY, BITS]), None),
    "palette": (encode(PALETTE), 3, COLOURS, None),
    "palette of greys": (encode(Image.fromarray(GREY).convert("P")), 1, GREY[:, :, None], None),
    "opaque": (encode(OPAQUE), 3, COLOURS, None),
    "alpha, kept": (encode(CLEAR), 4, CLEAR, None),
    "alpha, made": (encode(COLOURS), 4, OPAQUE, None),
    "transparent": (encode(CLEAR), 3, "transparent pixels.*on white.*convert=true.*channels: 4", ON_WHITE),
    "colours as grey": (encode(COLOURS), 1, "has colours, but `task.channels` is 1.*channels=3", LUMINANCE),
    "colours that are grey": (encode(stacked(GREY)), 1, GREY[:, :, None], None),
    "16 bits that are 8": (encode(GREY.astype(np.uint16) * 257), 1, GREY[:, :, None], None),
    "16 bits": (encode(DEEP), 1, "16 bits per pixel.*convert=true", ((DEEP + 128.0) // 257)[:, :, None]),
    "16 bits of colour": (
        png_of_16_bits(COLOURS.astype(np.uint16) * 256 + 7),
        3,
        "mode 'RGB;16': 16 bits per channel become 8.*convert=true",
        COLOURS,
    ),
    "CMYK": (encode(CMYK, "JPEG"), 3, "mode 'CMYK'.*convert=true, or save it as RGB", None),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_becomes_that_of_the_task(mode: str) -> None:
    image, channels, expected, converted = MODES[mode]
    if isinstance(expected, str):
        with pytest.raises(UserError, match=expected):
            decode(image, Form(channels, 4, 5))
        result = decode(image, Form(channels, 4, 5, convert=True))
        if converted is not None:
            assert np.array_equal(result, converted)
    else:
        for convert in ("lossless", True):
            assert np.array_equal(decode(image, Form(channels, 4, 5, convert=convert)), expected)


@pytest.mark.parametrize("mode", ["1 bit", "grey as colours", "opaque", "transparent", "CMYK", "16 bits"])
def test_without_conversion_only_the_mode_of_the_task_is_read(mode: str) -> None:
    image, channels, _, _ = MODES[mode]
    with pytest.raises(UserError, match=r"Convert it, or remove `train\.data\.convert: false`"):
        decode(image, Form(channels, 4, 5, convert=False))


@pytest.mark.parametrize("pixels", [COLOURS, GREY, CLEAR], ids=["colours", "grey", "alpha"])
def test_arrays_are_images(pixels: np.ndarray) -> None:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    assert np.array_equal(decode(pixels, Form(channels, 4, 5)), pixels.reshape(4, 5, channels))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(orientation: int, file_format: str) -> None:
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :8] = 200  # the corner tells all eight orientations apart in a picture that is not square
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(pixels, file_format, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    header = read_header(content)
    assert (header.height, header.width, header.orientation) == (upright.height, upright.width, orientation)
    assert np.array_equal(decode(content, Form(3, upright.height, upright.width)), np.asarray(upright))
    as_stored = decode(content, Form(3, 16, 24, rules=1))
    assert np.abs(as_stored.astype(int) - pixels).max() < 40


def test_damaged_metadata_leave_the_image_as_it_is() -> None:
    content = encode(COLOURS, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(decode(content, Form(3, 4, 5)), COLOURS)


def test_the_first_picture_of_a_telephone_is_the_photograph() -> None:
    other = Image.fromarray(255 - stacked(GREY))
    content = encode(stacked(GREY), "MPO", save_all=True, append_images=[other])
    assert getattr(Image.open(io.BytesIO(content)), "n_frames", 1) == 2
    assert np.abs(decode(content, Form(3, 4, 5)).astype(int) - stacked(GREY)).mean() < 30


@pytest.mark.parametrize(("height", "width"), [(60, 90), (90, 60), (64, 64), (20, 31), (33, 400)])
@pytest.mark.parametrize(("size", "crop"), [(32, 32), (32, 24), (48, 16)])
def test_images_are_resized_and_cut(height: int, width: int, size: int, crop: int) -> None:
    ramp = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 120, width))
    image = Image.fromarray(ramp.astype(np.uint8))
    form = Form.of(Data(resize=Resize(size=size, crop=crop)), Task(1, crop, crop, 2))
    scale = size / min(height, width)
    whole = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    left, top = (whole.width - crop) / 2, (whole.height - crop) / 2
    expected = np.asarray(whole.crop((int(left), int(top), int(left) + crop, int(top) + crop)))
    assert np.abs(decode(encode(image), form)[:, :, 0].astype(int) - expected).max() <= 6  # half a pixel of the ramp


def test_a_pair_of_sizes_changes_the_ratio_of_the_sides() -> None:
    form = Form.of(Data(resize=Resize(size=(10, 20))), Task(3, 10, 20, 2))
    expected = np.asarray(Image.fromarray(COLOURS).resize((20, 10), Image.Resampling.BILINEAR))
    assert np.array_equal(decode(encode(COLOURS), form), expected)


def test_a_long_thin_image_is_not_unfolded() -> None:
    """Resized to 64 pixels of the shorter side, this image would have 4 x 10^9 pixels."""
    form = Form.of(Data(resize=Resize(size=64)), Task(1, 64, 64, 2))
    assert decode(encode(np.full((1, 2**20), 7, np.uint8)), form).tolist() == np.full((64, 64, 1), 7).tolist()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        ((4, 6), r"is 4 high, 6 wide, but `task` says 4 high, 5 wide.*resize=\{size: \[4, 5\]\}'"),
        ((2**14, 4200), r"may have at most 67,108,864 pixels, but this one is 16384 high, 4200 wide\. Save it smaller"),
    ],
)
def test_images_of_other_sizes_are_refused_with_a_remedy(pixels: tuple[int, int], message: str) -> None:
    form = Form(1, 4, 5, resize=None if pixels[0] == 4 else Resize(size=(4, 5)))
    with pytest.raises(UserError, match=message):
        decode(encode(np.zeros(pixels, np.uint8)), form)
