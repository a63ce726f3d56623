"""Settings of a comparison of design spaces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

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

    def generator(self, *names: str) -> np.random.Generator:
        """Return the generator of one purpose."""
        return numpy_generator(self.seed, "edf", *names)
