"""Bring an image to the form of the experiment: upright, channels of 8 bits, size."""

import numpy as np
from PIL import Image

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Resize
from zenfront.pipeline.training.images.decoding.form import Form
from zenfront.pipeline.training.images.decoding.part import Part

ALWAYS = "Allow it with --set train.data.convert=true"
LOSSLESS = {"1", "L", "LA", "P", "PA", "RGB", "RGBA"}
"""Modes whose conversion can lose nothing; whether it does depends on the pixels."""
LOSES = {
    "CMYK": "the colours of print become RGB",
    "YCbCr": "YCbCr becomes RGB",
    "LAB": "Lab becomes RGB",
    "HSV": "HSV becomes RGB",
    "RGB;16": "16 bits per channel become 8",
    "RGBA;16": "16 bits per channel become 8",
}
"""Modes whose conversion always loses something, with what that is."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transposition that makes an image upright, by its orientation in EXIF."""


def check_mode(mode: str, form: Form) -> None:
    """Check that images of a mode can become images of the task, as far as the mode says.

    Raises:
        UserError: They cannot, or `convert` does not allow it.
    """
    if mode == form.mode or (mode == "P" and form.mode == "RGB"):
        return
    known = mode in LOSSLESS or mode in LOSES or mode.startswith("I;16")
    if not known:
        raise UserError(
            f"the image has Pillow's mode {mode!r}, whose range is not known. Scale it to 0 .. 255 and save it with 8 "
            "bits per channel."
        )
    if form.convert is False:
        raise UserError(
            f"the image has mode {mode!r}, but the task has mode {form.mode!r}. Convert it, or remove "
            "`train.data.convert: false`."
        )
    if mode in LOSES and form.convert is not True:
        raise UserError(f"the image has mode {mode!r}: {LOSES[mode]}. {ALWAYS}, or save it as {form.mode}.")


def in_form(image: Image.Image, mode: str, orientation: int, form: Form, part: Part | None = None) -> np.ndarray:
    """Return the pixels (H, W, C), uint8, of a decoded image.

    Args:
        image: The image.
        mode: Its mode as `Header` states it.
        orientation: Orientation in EXIF.
        form: The form.
        part: Part of the upright image that is kept; the form says which if it is not given.

    Raises:
        UserError: The conversion would lose something, which `convert` does not allow.
    """
    if mode != form.mode:
        image = _converted(image, form)
    if orientation in TURNS:
        image = image.transpose(TURNS[orientation])
    return np.asarray(_resized(image, form, part)).reshape(form.height, form.width, form.channels)


def _converted(image: Image.Image, form: Form) -> Image.Image:
    image = _with_8_bits(image, form)
    has_alpha, wants_alpha = image.mode in ("LA", "RGBA"), form.channels in (2, 4)
    if has_alpha and not wants_alpha:
        image = _without_alpha(image, form)
    if form.channels < 3 and image.mode in ("RGB", "RGBA"):
        image = _without_colour(image, form)
    return image.convert(form.mode)


def _with_8_bits(image: Image.Image, form: Form) -> Image.Image:
    """Return an image as L, LA, RGB or RGBA."""
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint32)
        if form.convert is not True and (values % 257).any():
            raise UserError(
                f"the image has 16 bits per pixel, and 8 would lose some. {ALWAYS}, or save it with 8 bits."
            )
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.mode in ("P", "PA"):
        alpha = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if alpha else "RGB")
    return image.convert({"1": "L", "L": "L", "LA": "LA", "RGBA": "RGBA"}.get(image.mode, "RGB"))


def _without_alpha(image: Image.Image, form: Form) -> Image.Image:
    colours = image.convert(image.mode[:-1])
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return colours
    if form.convert is not True:
        more = ", or keep the transparency as a channel with `task.channels: 4`" if form.channels == 3 else ""
        raise UserError(f"the image has transparent pixels. To put it on white: {ALWAYS.lower()}{more}.")
    return Image.composite(colours, Image.new(colours.mode, image.size, "white"), alpha)


def _without_colour(image: Image.Image, form: Form) -> Image.Image:
    red, green, blue = (np.asarray(image.getchannel(name)) for name in "RGB")
    grey = np.array_equal(red, green) and np.array_equal(green, blue)
    if not grey and form.convert is not True:
        raise UserError(
            f"the image has colours, but `task.channels` is {form.channels}. Set task.channels=3. To read it as grey: "
            f"{ALWAYS.lower()}."
        )
    luminance = image.getchannel("R") if grey else image.convert("RGB").convert("L")
    return Image.merge("LA", (luminance, image.getchannel("A"))) if image.mode == "RGBA" else luminance


def _resized(image: Image.Image, form: Form, part: Part | None) -> Image.Image:
    if form.resize is None:
        return image
    box = part.box(image.height, image.width) if part else _kept(image, form.resize)
    # Filtered over the area of a result pixel, and only within the part that is kept, whatever its proportions are.
    return image.resize((form.width, form.height), Image.Resampling.BILINEAR, box=box)


def _kept(image: Image.Image, resize: Resize) -> tuple[float, float, float, float]:
    """Return the part of an image that is kept: without a crop all, else a square in the middle."""
    if isinstance(resize.size, tuple):
        return 0, 0, image.width, image.height
    side = min(image.size) * resize.shape[0] / resize.size
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return left, top, left + side, top + side
