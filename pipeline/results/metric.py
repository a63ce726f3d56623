"""The metric that trained networks are compared by: an accuracy, or a number that a training function yields."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from zenfront.pipeline.results.rows import CLOSED
from zenfront.pipeline.wording import mean_percent, number, percent

Direction = Literal["maximise", "minimise"]
AccuracyName = Literal["accuracy", "balanced_accuracy"]
ACCURACIES: tuple[AccuracyName, ...] = ("accuracy", "balanced_accuracy")


@dataclass(frozen=True)
class Metric:
    """A number that trained networks are compared by, and the direction in which it is preferred.

    An accuracy is a fraction of images: it is shown in percent, guessing has a known value, and its noise follows from
    the number of images. Of any other metric, none of that is known.
    """

    __pydantic_config__ = CLOSED

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$", max_length=100)]
    """Key in the rows that `train.function` yields."""
    direction: Direction
    """`maximise` or `minimise`."""

    @property
    def is_accuracy(self) -> bool:
        """Whether it is a fraction of images that are classified correctly."""
        return self.name in ACCURACIES

    @property
    def sign(self) -> int:
        """Factor that turns a value into one of which higher is better: 1 or -1."""
        return 1 if self.direction == "maximise" else -1

    @property
    def words(self) -> str:
        """The name for display."""
        return self.name.replace("_", " ")

    @property
    def validated(self) -> str:
        """The name of the value that the scheduler compares, for display."""
        return f"validation {self.words}" if self.is_accuracy else self.words

    @property
    def tested(self) -> str:
        """The name of the value of a network that was trained to the end, for display."""
        return f"test {self.words}" if self.is_accuracy else self.words

    @property
    def best(self) -> str:
        """The best network, in words."""
        return "most accurate" if self.is_accuracy else "best"

    @property
    def axis(self) -> str:
        """Label of an axis."""
        return f"{self.words} [%]" if self.is_accuracy else self.words

    @property
    def scale(self) -> int:
        """Factor from a value to the number on the axis."""
        return 100 if self.is_accuracy else 1

    def shown(self, value: float | None, error: float | None = None, decimals: int = 1) -> str:
        """Format a value, with its error if it is known; ``-`` for None. The decimals are those of percent."""
        if not self.is_accuracy:
            return number(value) if value is None or error is None else f"{number(value)} ± {number(error)}"
        if value is None or error is None:
            return percent(value, decimals)
        return f"{percent(value, decimals).removesuffix(' %')} ± {percent(error, decimals)}"

    def shown_mean(self, values: Sequence[float], decimals: int = 2) -> str:
        """Format the mean of values, with the standard deviation of several; ``-`` for none."""
        if self.is_accuracy:
            return mean_percent(values, decimals)
        if len(values) < 2:
            return self.shown(values[0] if values else None)
        return self.shown(statistics.fmean(values), statistics.stdev(values))

    def difference(self, value: float, error: float | None = None) -> str:
        """Format a difference in words: in points, or in the unit of the metric."""
        spread = "" if error is None else f" ± {self.scale * error:.1f}" if self.is_accuracy else f" ± {number(error)}"
        return f"{100 * value:+.1f}{spread} points" if self.is_accuracy else f"{value:+.4g}{spread} {self.words}"


ACCURACY = Metric("accuracy", "maximise")
