"""Samples of models with their errors, complexities and hyper-parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from zenfront.pipeline.errors import UserError

LEAST = 10
"""Least number of models in a sample."""
NAMED = 5
"""Rows without an error that a message names."""


def models(count: int) -> str:
    """Return ``1 model`` or ``2 models``."""
    return f"{count} model" + "s" * (count != 1)


@dataclass(frozen=True, eq=False)
class ModelSample:
    """Models of one design space.

    Attributes:
        name: Name of the sample.
        errors: (n,), lower is better: errors in percent, or a score with the sign that makes it so.
        complexities: (n,) by name.
        parameters: Hyper-parameters that are numbers, (n,) by name.
        left_out: Rows of the source without an error, counted from 1.
        architectures: Notation of each model, or empty if the models have none.
        dropped: Number of models that are left out for another reason, by reason.
    """

    name: str
    errors: np.ndarray
    complexities: Mapping[str, np.ndarray] = field(default_factory=dict)
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    left_out: tuple[int, ...] = ()
    architectures: Sequence[str] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)

    def known(self) -> "ModelSample":
        """Return the sample of the models whose error is known; the others are listed in `left_out`."""
        here = np.isfinite(self.errors)
        return self._rows(here, left_out=tuple(int(row) + 1 for row in np.flatnonzero(~here)))

    def with_complexities(self, names: Sequence[str], limits: Mapping[str, tuple[float, float]]) -> "ModelSample":
        """Return the models that have all these complexities, strictly within the limits where there are any.

        Raises:
            UserError: The sample has no such complexity.
        """
        used = {name: self._complexity(name) for name in dict.fromkeys([*names, *limits])}
        here = np.ones(len(self.errors), dtype=bool)
        dropped = {}
        for name, values in used.items():
            low, high = limits.get(name, (-np.inf, np.inf))
            known, within = np.isfinite(values), (values > low) & (values < high)
            dropped[f"without {name}"] = int((here & ~known).sum())
            dropped[f"outside the limits of {name}"] = int((here & known & ~within).sum())
            here &= known & within
        return self._rows(here, dropped={reason: count for reason, count in dropped.items() if count})

    def _complexity(self, name: str) -> np.ndarray:
        if name not in self.complexities:
            known = ", ".join(self.complexities) or "none"
            raise UserError(f"sample {self.name!r} has no complexity {name!r}. It has: {known}.")
        return self.complexities[name]

    def notes(self) -> list[str]:
        """Return a line for the user about each reason for which models are left out."""
        lines = [f"{self.name}: {models(count)} {reason}, left out" for reason, count in self.dropped.items()]
        if not self.left_out:
            return lines
        rows = ", ".join(map(str, self.left_out[:NAMED])) + (", ..." if len(self.left_out) > NAMED else "")
        return [f"{self.name}: {models(len(self.left_out))} without an error, left out (rows {rows})", *lines]

    def require_enough(self) -> None:
        """Check that the sample is large enough to be compared.

        Raises:
            UserError: It has fewer than 10 models.
        """
        if len(self.errors) < LEAST:
            left_out = "".join(f" {note}." for note in self.notes())
            raise UserError(
                f"sample {self.name!r}: at least {LEAST} models are needed, but got {len(self.errors)}.{left_out}"
            )

    def require_distribution(self) -> None:
        """Check that the errors differ.

        Raises:
            UserError: All errors are equal.
        """
        if (self.errors == self.errors[0]).all():
            raise UserError(
                f"sample {self.name!r}: all {len(self.errors)} models have the same error, {self.errors[0]:g}, "
                "so that there is no distribution to compare."
            )

    def _rows(self, here: np.ndarray, **changes: Any) -> "ModelSample":
        rows = np.flatnonzero(here).tolist()
        return replace(
            self,
            errors=self.errors[rows],
            complexities={name: values[rows] for name, values in self.complexities.items()},
            parameters={name: values[rows] for name, values in self.parameters.items()},
            architectures=[self.architectures[row] for row in rows] if self.architectures else (),
            **changes,
        )
