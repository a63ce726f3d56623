"""The task of a network: the shape of its input and the number of classes."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from zenfront.pipeline.results.rows import CLOSED, Positive

MOST_PIXELS = 32_768
MOST_NUMBERS = 2**26
"""Numbers in an image, such as 3 x 4,729 x 4,729: 256 MiB in float32."""


@dataclass(frozen=True)
class Task:
    """Image classification: images (N, channels, height, width) to logits (N, classes)."""

    __pydantic_config__ = CLOSED

    channels: Annotated[Positive, Field(le=10_000)]
    """Image channels."""
    height: Annotated[Positive, Field(le=MOST_PIXELS)]
    """Image height in pixels."""
    width: Annotated[Positive, Field(le=MOST_PIXELS)]
    """Image width in pixels."""
    classes: Annotated[int, Field(ge=2, le=1_000_000)]
    """Number of classes, at least 2."""

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1:
            shape = (self.channels, self.height, self.width)
            raise ValueError(f"channels, height and width of a task must be at least 1, but got {shape}")
        if (numbers := self.channels * self.height * self.width) > MOST_NUMBERS:
            raise ValueError(f"an image of a task must have at most {MOST_NUMBERS:,} numbers, but got {numbers:,}")
        if self.classes < 2:
            raise ValueError(f"`classes` of a task must be at least 2, but got {self.classes}")
