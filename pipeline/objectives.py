"""Objectives and constraints: preferences and bounds on the scores that proxies measure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from zenfront.pipeline.results.metric import Direction
from zenfront.pipeline.results.rows import CLOSED, Number, Text
from zenfront.pipeline.results.stage_rows import Scores


@dataclass(frozen=True)
class Objective:
    """A score and the direction in which it is preferred."""

    __pydantic_config__ = CLOSED

    score: Annotated[Text, Field(max_length=200)]
    """Name of a proxy (`zenfront proxies` lists them)."""
    direction: Direction
    """`maximise` or `minimise`."""

    @property
    def sign(self) -> int:
        """Factor that turns a value into a loss, of which lower is better: -1 or 1."""
        return -1 if self.direction == "maximise" else 1

    @property
    def study_direction(self) -> Literal["maximize", "minimize"]:
        """The direction as Optuna spells it: ``maximize`` or ``minimize``."""
        return "maximize" if self.direction == "maximise" else "minimize"


@dataclass(frozen=True)
class Constraint:
    """Bounds on a score; give one or both, and `at_least` not above `at_most`."""

    __pydantic_config__ = CLOSED

    score: Annotated[Text, Field(max_length=200)]
    """Name of a proxy (`zenfront proxies` lists them)."""
    at_most: Number | None = None
    """Upper bound, inclusive, in the proxy's unit."""
    at_least: Number | None = None
    """Lower bound, inclusive, in the proxy's unit."""

    def __post_init__(self) -> None:
        if self.at_most is None and self.at_least is None:
            raise ValueError(f"a constraint on {self.score!r} needs `at_most` or `at_least`, but got neither")
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise ValueError(
                f"constraint on {self.score!r}: `at_least <= at_most` must hold, "
                f"but got (at_least={self.at_least:g}, at_most={self.at_most:g})"
            )

    def excess(self, value: float) -> float:
        """Return how far a value lies outside, relative to the violated bound and mapped to [0, 1); 0 is feasible."""
        for bound, beyond in ((self.at_most, 1), (self.at_least, -1)):
            if bound is not None and beyond * (value - bound) > 0:
                relative = abs(value - bound) / (abs(bound) or 1.0)
                return max(relative / (1 + relative), np.finfo(float).tiny)
        return 0.0

    def __str__(self) -> str:
        bounds = [(self.at_least, ">="), (self.at_most, "<=")]
        return " and ".join(f"{self.score} {sign} {bound:g}" for bound, sign in bounds if bound is not None)


def losses(scored: Sequence[Scores], objectives: Sequence[Objective]) -> np.ndarray:
    """Return the loss matrix (n, m), lower is better; a missing score, as infeasible rows have, counts 0."""
    rows = [[o.sign * s.values.get(o.score, 0.0) for o in objectives] for s in scored]
    return np.array(rows, dtype=np.float64).reshape(len(scored), len(objectives))


def violations(scored: Sequence[Scores], constraints: Sequence[Constraint]) -> np.ndarray:
    """Return the constraint violations (n,), finite, 0 is feasible; a failure is worse than any violation."""
    worst = len(constraints) + 1.0
    return np.array([worst if s.failure else sum(_excesses(s, constraints)) for s in scored], dtype=np.float64)


def _excesses(scores: Scores, constraints: Sequence[Constraint]) -> list[float]:
    return [c.excess(scores.values[c.score]) for c in constraints if c.score in scores.values]


def infeasible_message(scored: Sequence[Scores], constraints: Sequence[Constraint]) -> str:
    """Return the reason for which no architecture is feasible: counts by constraint and by reason of failure.

    Args:
        scored: Scores of architectures of which none is feasible.
        constraints: Constraints of the experiment.
    """
    parts = []
    for constraint in constraints:
        values = [s.values[constraint.score] for s in scored if constraint.score in s.values]
        excluded = sum(constraint.excess(value) > 0 for value in values)
        if excluded:
            reach = f"{constraint.score} was {min(values):g} to {max(values):g}"
            parts.append(f"{constraint} excludes {excluded} of {len(values)} ({reach})")
    failures = Counter(s.failure for s in scored if s.failure)
    parts += [f"{count} of {len(scored)} failed: {reason}" for reason, count in failures.most_common(3)]
    hint = " Loosen the constraints." if constraints else ""
    return f"no architecture of {len(scored)} is feasible: {'; '.join(parts)}.{hint}"
