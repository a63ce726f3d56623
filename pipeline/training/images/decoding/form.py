"""The form that all images of an experiment get, and the limits on what is decoded for it."""

from dataclasses import dataclass

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Data, Resize
from zenfront.spaces import Task

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's mode of images with that many channels of 8 bits."""
LARGEST = 2**26
"""Pixels that an image may have before it is resized."""
LARGEST_FILE = 2**27
"""Bytes that an encoded image may have before it is resized."""


@dataclass(frozen=True)
class Form:
    """Form of decoded images.

    Attributes:
        channels: Number of channels.
        height: Height in pixels.
        width: Width in pixels.
        resize: Method that resizes images of other sizes; None: they are refused.
        convert: Whether images of other modes are converted: ``"lossless"`` where nothing is lost.
        rules: Rules of reading: by 1, the orientation that EXIF states and the depth of colours are ignored.
    """

    channels: int
    height: int
    width: int
    resize: Resize | None = None
    convert: bool | str = "lossless"
    rules: int = 2

    @staticmethod
    def of(data: Data, task: Task) -> "Form":
        """Return the form of the images of an experiment.

        Raises:
            UserError: `resize` does not give the size of the task, or no image has so many channels.
        """
        if data.resize and data.resize.shape != (task.height, task.width):
            raise UserError(
                f"train.data.resize: `task` says (height, width) = {(task.height, task.width)}, but resizing gives "
                f"{data.resize.shape}. Make them equal, or set task=auto."
            )
        if task.channels not in MODES:
            raise UserError(f"task.channels: images have 1 to 4 channels, but got {task.channels}. Correct `task`.")
        return Form(task.channels, task.height, task.width, data.resize, data.convert, data.rules)

    @property
    def mode(self) -> str:
        """Pillow's mode."""
        return MODES[self.channels]

    @property
    def largest_file(self) -> int:
        """Bytes that an encoded image may have: 16 for a pixel of the result, and 256 KiB; 128 MiB with `resize`."""
        return LARGEST_FILE if self.resize else 16 * self.height * self.width + 2**18
