"""What a network has to do: the shape of its input and the number of classes."""

from dataclasses import dataclass

from zenfront.pipeline.errors import UserError


@dataclass(frozen=True)
class Task:
    """Image classification: (N, channels, height, width) -> (N, classes) logits.

    Raises:
        UserError: A dimension is not positive, or there are fewer than two classes.
    """

    channels: int
    height: int
    width: int
    classes: int

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1:
            shape = (self.channels, self.height, self.width)
            raise UserError(f"task: channels, height and width must be at least 1, but got {shape}.")
        if self.classes < 2:
            raise UserError(f"task: `classes` must be at least 2, but got {self.classes}.")
