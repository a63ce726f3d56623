"""Settings of a comparison of design spaces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.seeds import numpy_generator

INTERVAL = (2.5, 97.5)
"""Percentiles of a 95 % interval."""


@dataclass(frozen=True)
class Settings:
    """Settings of a comparison.

    Attributes:
        complexities: Names of one or two complexities at which samples are made comparable; empty: none.
        limits: Limits of complexities, strict; models outside are left out of everything.
        bins: Bins of each complexity; None: as many as the samples allow, at most 40.
        epsilon: Largest error that counts for the area; None: the largest of all.
        resamples: Resamples of the bootstrap, and permutations of the tests.
        seed: Seed of everything random.
    """

    complexities: Sequence[str] = ()
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    bins: int | None = None
    epsilon: float | None = None
    resamples: int = 1000
    seed: int = 0

    def check(self) -> None:
        """Check the values.

        Raises:
            UserError: One of them is out of its range.
        """
        if isinstance(self.complexities, str) or len(self.complexities) > 2:
            raise UserError(f"complexities: a list of at most two names is needed, but got {self.complexities!r}.")
        for name, least in (("bins", 1), ("resamples", 100)):
            if (value := getattr(self, name)) is not None and value < least:
                raise UserError(f"{name}: at least {least} is needed, but got {value}.")
        if self.epsilon is not None and not self.epsilon > 0:
            raise UserError(f"epsilon: a number above 0 is needed, but got {self.epsilon}.")
        for name, (low, high) in self.limits.items():
            if not low < high:
                raise UserError(f"limits of {name}: `low < high` must hold, but got ({low:g}, {high:g}).")

    def generator(self, *names: str) -> np.random.Generator:
        """Return the generator of one purpose."""
        return numpy_generator(self.seed, "edf", *names)
