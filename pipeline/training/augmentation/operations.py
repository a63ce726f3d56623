"""Operations of augmentation policies on pictures of 8 bits."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

Change = tuple[str, float]
"""Name of an operation, and its value in the operation's own unit."""
Operation = Callable[[Image.Image, float, int], Image.Image]


def change_each(pixels: Tensor, changes: Sequence[Sequence[Change]], fill: int) -> Tensor:
    """Apply operations to each image, in order.

    Args:
        pixels: (N, C, H, W) uint8 with 1 or 3 channels. Other images are returned as they are.
        changes: Operations of each of the N images.
        fill: Grey value, 0 .. 255, of what is moved in from outside.

    Returns:
        Pixels (N, C, H, W) uint8, on the device of the given ones.
    """
    if pixels.shape[1] not in (1, 3):
        return pixels
    changed = np.ascontiguousarray(pixels.cpu().numpy().transpose(0, 2, 3, 1))
    for image, steps in zip(changed, changes, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        for name, value in steps:
            picture = OPERATIONS[name](picture, value, fill)
        image[:] = np.asarray(picture).reshape(image.shape)
    return torch.from_numpy(np.ascontiguousarray(changed.transpose(0, 3, 1, 2))).to(pixels.device)


def _affine(image: Image.Image, fill: int, *matrix: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=_colour(image, fill))


def _colour(image: Image.Image, grey: int) -> int | tuple[int, ...]:
    return grey if image.mode == "L" else (grey,) * 3


def _posterize(image: Image.Image, bits: int) -> Image.Image:
    """Keep the upper bits of each value; without any, the image is black, as timm's at the largest strength."""
    return ImageOps.posterize(image, bits) if bits else Image.new(image.mode, image.size)


def _brighten_dark(image: Image.Image, value: float) -> Image.Image:
    """Add a value to what is darker than the middle."""
    table = [min(255, level + int(value)) if level < 128 else level for level in range(256)]
    return image.point(table * len(image.getbands()))


OPERATIONS: Mapping[str, Operation] = {
    "identity": lambda image, value, fill: image,
    "autocontrast": lambda image, value, fill: ImageOps.autocontrast(image),
    "equalize": lambda image, value, fill: ImageOps.equalize(image),
    "invert": lambda image, value, fill: ImageOps.invert(image),
    "rotate": lambda image, value, fill: image.rotate(value, fillcolor=_colour(image, fill)),
    "solarize": lambda image, value, fill: ImageOps.solarize(image, value),  # type: ignore[arg-type]  # any number
    "solarize_add": lambda image, value, fill: _brighten_dark(image, value),
    "posterize": lambda image, value, fill: _posterize(image, int(value)),
    "colour": lambda image, value, fill: ImageEnhance.Color(image).enhance(value),
    "contrast": lambda image, value, fill: ImageEnhance.Contrast(image).enhance(value),
    "brightness": lambda image, value, fill: ImageEnhance.Brightness(image).enhance(value),
    "sharpness": lambda image, value, fill: ImageEnhance.Sharpness(image).enhance(value),
    "shear_x": lambda image, value, fill: _affine(image, fill, 1, value, 0, 0, 1, 0),
    "shear_y": lambda image, value, fill: _affine(image, fill, 1, 0, 0, value, 1, 0),
    "translate_x": lambda image, value, fill: _affine(image, fill, 1, 0, value, 0, 1, 0),
    "translate_y": lambda image, value, fill: _affine(image, fill, 1, 0, 0, 0, 1, value),
    "translate_x_rel": lambda image, value, fill: _affine(image, fill, 1, 0, value * image.width, 0, 1, 0),
    "translate_y_rel": lambda image, value, fill: _affine(image, fill, 1, 0, 0, 0, 1, value * image.height),
}
"""Functions of an image, a value and the grey of what is moved in.

Values: degrees of a rotation; grey value from which `solarize` inverts, and which `solarize_add` adds to the dark half;
bits that `posterize` keeps; factors of colour, contrast, brightness and sharpness, 1 for no change; shears as a ratio;
translations in pixels, or with `_rel` as a share of the side. The others have none.
"""
