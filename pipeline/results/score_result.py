"""The scores of one network, as a value that a person reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

COLUMN = 14
"""Width of a number."""


@dataclass(frozen=True, repr=False)
class ScoreResult:
    """Scores of one network, with the reasons of those that are undefined.

    ``result["zen"]`` is a finite number in the unit of the score; for a score that is undefined it raises KeyError with
    the reason. ``dict(result)`` holds the scores that are defined. `print` shows everything.

    Attributes:
        values: Value by score, in the score's unit; the mean over the repeats.
        errors: Standard error of the value by score, in the same unit; empty without repeats.
        undefined: Reason by score that has no value.
        units: Unit by score, of all scores that were asked for.
        seconds: Wall-clock seconds by score; ``build`` is the time to make the network and to draw weights.
        notes: Conditions under which the scores were taken, and what is not known of the network.
    """

    values: Mapping[str, float]
    errors: Mapping[str, float]
    undefined: Mapping[str, str]
    units: Mapping[str, str]
    seconds: Mapping[str, float]
    notes: Sequence[str] = ()

    def __getitem__(self, name: str) -> float:
        """Return the value of a score.

        Raises:
            KeyError: The score is undefined, or was not asked for.
        """
        if name in self.undefined:
            raise KeyError(f"undefined: {self.undefined[name]}")
        if name not in self.values:
            raise KeyError(f"{name} was not asked for. There are: {', '.join(self.units)}")
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def keys(self) -> Iterator[str]:
        """Return the names of the scores that are defined."""
        return iter(self.values)

    def __repr__(self) -> str:
        width = max(map(len, self.units), default=0)
        rows = [f"{name:{width}}  {self._row(name)}" for name in self.units]
        return "\n".join([*rows, *(f"note: {note}" for note in self.notes)])

    def _row(self, name: str) -> str:
        if name not in self.values:
            reason = self.undefined.get(name, "not taken").removeprefix(f"{name}: ")
            return f"{'undefined':>{COLUMN}}  {reason}"
        error = f" ± {self.errors[name]:.2g}" if name in self.errors else ""
        return f"{self.values[name]:>{COLUMN}.6g}{error}  {self.units[name]}"
