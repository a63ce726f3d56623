"""Parts of an image that are cut out at random."""

import math
from dataclasses import dataclass

import numpy as np

RATIO = (3 / 4, 4 / 3)
"""Limits of width to height."""
ATTEMPTS = 10
"""Draws of a part before the largest one in the middle is taken."""


@dataclass(frozen=True)
class Part:
    """A rectangle in fractions of height and width of an image.

    Attributes:
        top: Position of its upper side.
        left: Position of its left side.
        height: Its height.
        width: Its width.
    """

    top: float
    left: float
    height: float
    width: float

    def box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Return left, upper, right and lower side in pixels of an image of a size."""
        right, lower = min(1.0, self.left + self.width), min(1.0, self.top + self.height)
        return self.left * width, self.top * height, right * width, lower * height


def draw_part(height: int, width: int, least: float, generator: np.random.Generator) -> Part:
    """Draw a rectangle: a uniform share of the area of an image, `least` to 1, and a log-uniform ratio of the sides.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        least: Smallest share of the area.
        generator: Source of all randomness.

    Source: Szegedy et al., CVPR 2015, arXiv:1409.4842, sec. 6; attempts and fallback of torchvision's
    `RandomResizedCrop`.
    """
    shares = generator.uniform(least, 1, ATTEMPTS)
    ratios = np.exp(generator.uniform(math.log(RATIO[0]), math.log(RATIO[1]), ATTEMPTS))
    position = generator.random(2)
    for share, ratio in zip(shares, ratios, strict=True):
        h, w = (round(math.sqrt(share * height * width * each)) for each in (1 / ratio, ratio))
        if 0 < h <= height and 0 < w <= width:
            top, left = int(position[0] * (height - h + 1)), int(position[1] * (width - w + 1))
            return Part(top / height, left / width, h / height, w / width)
    w = min(width, round(height * RATIO[1]))
    h = min(height, round(width / RATIO[0]))
    return Part((height - h) // 2 / height, (width - w) // 2 / width, h / height, w / width)
