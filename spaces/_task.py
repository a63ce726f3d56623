"""The task of a network: the shape of its input, and the number of classes or of other outputs."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from zenfront.pipeline.results.rows import CLOSED, Positive

MOST_PIXELS = 32_768
MOST_OUTPUTS = 1_000_000
MOST_NUMBERS = 2**26
"""Numbers in an image, such as 3 x 4,729 x 4,729: 256 MiB in float32."""


@dataclass(frozen=True)
class Task:
    """A task of a network: from images (N, channels, height, width) to logits (N, classes) or outputs (N, outputs).

    A task has either `classes` or `outputs`. Both count what the network returns, `out_features`; only with classes
    are there labels, chance levels and accuracies.
    """

    __pydantic_config__ = CLOSED

    channels: Annotated[Positive, Field(le=10_000)]
    """Image channels."""
    height: Annotated[Positive, Field(le=MOST_PIXELS)]
    """Image height in pixels."""
    width: Annotated[Positive, Field(le=MOST_PIXELS)]
    """Image width in pixels."""
    classes: Annotated[int, Field(ge=2, le=MOST_OUTPUTS)] | None = None
    """Number of classes, at least 2."""
    outputs: Annotated[int, Field(ge=1, le=MOST_OUTPUTS)] | None = None
    """Number of outputs, in place of classes: of a regression, or of whatever a training function of your own takes."""

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1:
            shape = (self.channels, self.height, self.width)
            raise ValueError(f"channels, height and width of a task must be at least 1, but got {shape}")
        if (numbers := self.channels * self.height * self.width) > MOST_NUMBERS:
            raise ValueError(f"an image of a task must have at most {MOST_NUMBERS:,} numbers, but got {numbers:,}")
        if (self.classes is None) is (self.outputs is None):
            got = "neither" if self.classes is None else f"(classes={self.classes}, outputs={self.outputs})"
            raise ValueError(f"a task must have either `classes` or `outputs`, but got {got}")
        if self.classes is not None and self.classes < 2:
            raise ValueError(f"`classes` of a task must be at least 2, but got {self.classes}")
        if self.outputs is not None and self.outputs < 1:
            raise ValueError(f"`outputs` of a task must be at least 1, but got {self.outputs}")

    @property
    def out_features(self) -> int:
        """Number of numbers that a network returns for an image: the classes, or the outputs."""
        return self.classes or self.outputs or 0

    @property
    def described_outputs(self) -> str:
        """Output of a network, in words: ``10 classes``, ``1 output``."""
        return f"{self.classes} classes" if self.classes else f"{self.outputs} output{'s' * (self.outputs != 1)}"

    def __str__(self) -> str:
        return f"{self.channels} × {self.height} × {self.width} images, {self.described_outputs}"

    @model_serializer(mode="wrap")
    def _without_the_other(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the key of the two that is not there: a task of classes is stored as it always was."""
        return {key: value for key, value in handler(self).items() if value is not None}
