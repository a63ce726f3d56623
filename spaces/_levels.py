"""The distribution of a gene as a list of levels 0, ..., n - 1."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from zenfront.pipeline.errors import UserError
from zenfront.spaces._architecture import Gene


@dataclass(frozen=True)
class Levels:
    """Values that a gene can take.

    Attributes:
        values: All values, in ascending order or in the order of the categories; then those of `Space.published`.
        ordered: Whether the values are ascending numbers, so that adjacent levels are similar.
        drawn: Number of values that a search draws, the first ones; all by default.
    """

    values: tuple[Gene, ...]
    ordered: bool
    drawn: int = 0

    def __post_init__(self) -> None:
        if not self.drawn:
            object.__setattr__(self, "drawn", len(self.values))

    def with_published(self, values: Sequence[Gene]) -> "Levels":
        """Return the levels with further values at the end, which no search draws."""
        return replace(self, values=(*self.values, *values))

    @staticmethod
    def of(name: str, distribution: BaseDistribution) -> "Levels":
        """Create the levels of an Optuna distribution.

        Raises:
            UserError: The distribution has no finite list of levels, or a category is neither a number nor a string.
                Booleans are rejected because True == 1, although their JSON forms differ.
        """
        match distribution:
            case CategoricalDistribution(choices=choices):
                if bad := [c for c in choices if isinstance(c, bool) or not isinstance(c, int | float | str)]:
                    raise UserError(f"gene {name!r}: a category must be a number or a string, but got {bad[0]!r}.")
                numbers = [c for c in choices if isinstance(c, int | float)]
                ordered = len(numbers) == len(choices) and numbers == sorted(numbers)
                return Levels(tuple(c for c in choices if isinstance(c, int | float | str)), ordered)
            case IntDistribution(low=low, high=high, step=step):
                return Levels(tuple(range(low, high + 1, step)), ordered=True)
            case FloatDistribution(low=low, high=high, step=float(step)):
                count = round((high - low) / step) + 1
                return Levels(tuple(round(low + i * step, 10) for i in range(count)), ordered=True)
        raise UserError(f"gene {name!r}: a distribution must be discrete (set its step), but got {distribution}.")

    def index(self, name: str, value: object) -> int:
        """Return the level of a value, which may also be an equal number of another type or its text.

        Raises:
            UserError: The value is not among the levels.
        """
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            # Optuna's stepped floats carry the rounding error of low + i * step.
            value = round(value, 10) if isinstance(value, float) else value
            position = self._positions.get(value, self._texts.get(value) if isinstance(value, str) else None)
            if position is not None:
                return position
        raise UserError(f"gene {name!r}: the value must be one of {self._shown()}, but got {value!r}.")

    @cached_property
    def _positions(self) -> dict[Gene, int]:
        return {value: position for position, value in enumerate(self.values)}

    @cached_property
    def _texts(self) -> dict[str, int]:
        return {str(value): position for position, value in enumerate(self.values)}

    def _shown(self) -> str:
        texts = [str(value) for value in self.values]
        return ", ".join(texts if len(texts) <= 12 else [*texts[:4], "...", texts[-1]])
