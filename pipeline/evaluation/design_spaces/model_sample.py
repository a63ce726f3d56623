"""Samples of models with their errors, complexities and hyper-parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zenfront.pipeline.errors import UserError

LEAST = 10
"""Least number of models in a sample."""
NAMED = 5
"""Rows without an error that a message names."""


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
    """

    name: str
    errors: np.ndarray
    complexities: Mapping[str, np.ndarray] = field(default_factory=dict)
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    left_out: tuple[int, ...] = ()
    architectures: Sequence[str] = ()

    def known(self) -> "ModelSample":
        """Return the sample of the models whose error is known; the others are listed in `left_out`."""
        here = np.isfinite(self.errors)
        return self if here.all() else self._rows(here, tuple(int(row) + 1 for row in np.flatnonzero(~here)))

    def with_complexities(self, names: Sequence[str], limits: Mapping[str, tuple[float, float]]) -> "ModelSample":
        """Return the models that have all these complexities, strictly within the limits where there are any.

        Raises:
            UserError: The sample has no such complexity.
        """
        here = np.ones(len(self.errors), dtype=bool)
        for name in dict.fromkeys([*names, *limits]):
            if name not in self.complexities:
                known = ", ".join(self.complexities) or "none"
                raise UserError(f"sample {self.name!r} has no complexity {name!r}. It has: {known}.")
            values = self.complexities[name]
            low, high = limits.get(name, (-np.inf, np.inf))
            here &= np.isfinite(values) & (values > low) & (values < high)
        return self if here.all() else self._rows(here, self.left_out)

    def note(self) -> str | None:
        """Return a line for the user about the rows without an error, or None if there are none."""
        if not self.left_out:
            return None
        missing, all_models = len(self.left_out), len(self.left_out) + len(self.errors)
        rows = ", ".join(map(str, self.left_out[:NAMED])) + (", ..." if missing > NAMED else "")
        return f"{self.name}: {missing} of {all_models} models have no error and are left out (rows {rows})"

    def check(self) -> None:
        """Check that the sample can be compared.

        Raises:
            UserError: It has fewer than 10 models, or all errors are equal.
        """
        if len(self.errors) < LEAST:
            raise UserError(f"sample {self.name!r}: at least {LEAST} models are needed, but got {len(self.errors)}.")
        if (self.errors == self.errors[0]).all():
            raise UserError(
                f"sample {self.name!r}: all {len(self.errors)} models have the same error, {self.errors[0]:g}, "
                "so that there is no distribution to compare."
            )

    def _rows(self, here: np.ndarray, left_out: tuple[int, ...]) -> "ModelSample":
        return ModelSample(
            self.name,
            self.errors[here],
            {name: values[here] for name, values in self.complexities.items()},
            {name: values[here] for name, values in self.parameters.items()},
            left_out,
            [name for name, kept in zip(self.architectures, here, strict=True) if kept] if self.architectures else (),
        )
