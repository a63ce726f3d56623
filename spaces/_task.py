"""The task of a network: the shape of its input and the number of classes."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from zenfront.pipeline.results.rows import CLOSED, Positive


@dataclass(frozen=True)
class Task:
    """Image classification: images (N, channels, height, width) to logits (N, classes)."""

    __pydantic_config__ = CLOSED

    channels: Positive
    """Image channels."""
    height: Positive
    """Image height in pixels."""
    width: Positive
    """Image width in pixels."""
    classes: Annotated[int, Field(ge=2)]
    """Number of classes, at least 2."""

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1:
            shape = (self.channels, self.height, self.width)
            raise ValueError(f"channels, height and width of a task must be at least 1, but got {shape}")
        if self.classes < 2:
            raise ValueError(f"`classes` of a task must be at least 2, but got {self.classes}")
