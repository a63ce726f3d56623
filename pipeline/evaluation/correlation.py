"""Correlation of scores with the accuracy, on a sample and on the parts into which conditions split it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zenfront.pipeline.analysis.assessment import LEAST, Assessment, NoiseCeiling, assess, holm, noise_ceiling
from zenfront.pipeline.analysis.conditions import Condition
from zenfront.pipeline.analysis.strata import cost_tolerance
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.learned import cross_validated
from zenfront.pipeline.evaluation.sample import BASELINES, Sample, orient


@dataclass(frozen=True, eq=False)
class Correlations:
    """Assessments of all scores on a sample or on a part of it.

    Attributes:
        where: Condition that the part fulfils; empty for the whole sample.
        n: Number of architectures.
        tolerance: Relative difference up to which the FLOPs of a pair count as equal; 0: exactly equal.
        ceiling: Agreement of the training seeds; None if unknown.
        scores: Assessments by name, the highest τ first; undefined ones last.
        skipped: Reasons for which scores could not be assessed, by name.
        sample: The architectures.
    """

    where: str
    n: int
    tolerance: float
    ceiling: NoiseCeiling | None
    scores: Mapping[str, Assessment]
    skipped: Mapping[str, str]
    sample: Sample


def correlate(sample: Sample, conditions: Sequence[Condition], seed: int) -> list[Correlations]:
    """Assess all scores on the whole sample, and on both parts into which each condition splits it.

    The predictions of a model that is fitted on few of the accuracies are a further score (`cross_validated`).

    Args:
        sample: Scores and accuracies.
        conditions: A part with fewer than 10 architectures that do not fulfil the condition is left out.
        seed: Seed of the bootstrap.

    Raises:
        UserError: There are too few architectures, or a condition names an unknown property.
    """
    sample.require_enough()
    parts = {"": np.ones(len(sample.truth.accuracy), dtype=bool)}
    for condition in conditions:
        holds = sample.holds(condition)
        if holds.sum() < LEAST:
            n = len(holds)
            raise UserError(f"--where: {condition.text!r} holds for {holds.sum()} of {n}; at least {LEAST} are needed.")
        parts[condition.text] = holds
        if (~holds).sum() >= LEAST:
            parts[f"not ({condition.text})"] = ~holds
    sample = replace(sample, scores={**sample.scores, **cross_validated(sample, seed)})
    return [_correlate_part(sample.select(rows), where, seed) for where, rows in parts.items()]


def _correlate_part(sample: Sample, where: str, seed: int) -> Correlations:
    reference = sample.reference(seed)
    found: dict[str, Assessment] = {}
    skipped: dict[str, str] = {}
    for name, values in sample.scores.items():
        try:
            found[name] = assess(orient(name, values, sample.code), reference)
        except ValueError as reason:
            skipped[name] = str(reason)
    named = [name for name, each in found.items() if name not in BASELINES and each.p is not None]
    for name, adjusted in zip(named, holm([found[name].p or 0.0 for name in named]), strict=True):
        found[name] = replace(found[name], adjusted=adjusted)
    return Correlations(
        where=where,
        n=len(reference.accuracy),
        tolerance=cost_tolerance(reference.cost),
        ceiling=noise_ceiling(reference),
        scores=dict(sorted(found.items(), key=lambda item: _place(item[1]))),
        skipped=skipped,
        sample=sample,
    )


def _place(assessment: Assessment) -> tuple[bool, float]:
    tau = assessment.kendall.value
    return (tau is None, 0.0 if tau is None else -tau)
