"""Evidence: does a score tell the accuracy on this space?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.analysis.conditions import Condition
from zenfront.pipeline.analysis.evidence import LEAST, Ceiling, Evidence, assess, noise_ceiling
from zenfront.pipeline.analysis.strata import cost_strata
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.sample import Sample, oriented


@dataclass(frozen=True, eq=False)
class Subset:
    """The evidence on a subset of the sample.

    Attributes:
        where: The condition that the subset fulfils; empty: all.
        n: Architectures.
        strata: Cost levels or quantiles within which architectures are called equally expensive.
        exact: Whether they are levels.
        ceiling: Seed against seed; None: unknown.
        scores: By name, the highest tau first.
        skipped: Why there is nothing on a score, by name.
        sample: The architectures themselves.
    """

    where: str
    n: int
    strata: int
    exact: bool
    ceiling: Ceiling | None
    scores: Mapping[str, Evidence]
    skipped: Mapping[str, str]
    sample: Sample


def correlate(sample: Sample, conditions: Sequence[Condition], seed: int) -> list[Subset]:
    """The evidence on the whole sample, and on both parts into which each condition splits it.

    Raises:
        UserError: There are too few architectures, or a condition speaks of what is not known.
    """
    parts = [_part(sample, "", seed)]
    for condition in conditions:
        holds = sample.holds(condition)
        if holds.sum() < LEAST:
            n = len(holds)
            raise UserError(f"--where: {condition.text!r} holds for {holds.sum()} of {n}; at least {LEAST} are needed.")
        parts.append(_part(sample.only(holds), condition.text, seed))
        if (~holds).sum() >= LEAST:
            parts.append(_part(sample.only(~holds), f"not ({condition.text})", seed))
    return parts


def _part(sample: Sample, where: str, seed: int) -> Subset:
    truth = sample.truth(seed)
    strata, exact = cost_strata(truth.cost)
    found: dict[str, Evidence] = {}
    skipped: dict[str, str] = {}
    for name, values in sample.scores.items():
        try:
            found[name] = assess(oriented(name, values), truth)
        except ValueError as reason:
            skipped[name] = str(reason)
    order = sorted(found, key=lambda name: -np.nan_to_num(found[name].kendall.value or -2.0))
    return Subset(
        where=where,
        n=len(truth.accuracy),
        strata=len(np.unique(strata)),
        exact=exact,
        ceiling=noise_ceiling(truth),
        scores={name: found[name] for name in order},
        skipped=skipped,
        sample=sample,
    )
