"""Everything that is measured on the rankings of a study."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.analysis.resampling import RESAMPLES
from zenfront.pipeline.analysis.weight_sharing.agreement import best_rank, gt_tau, last_steps, take_last, top_tau
from zenfront.pipeline.analysis.weight_sharing.bias import (
    OperationShare,
    PropertyBias,
    operation_shares,
    property_bias,
)
from zenfront.pipeline.analysis.weight_sharing.instances import Spread, over_instances, s_tau
from zenfront.pipeline.analysis.weight_sharing.limits import random_rankings, stand_alone_runs
from zenfront.pipeline.evaluation.weight_sharing.ground_truth import GroundTruth
from zenfront.pipeline.evaluation.weight_sharing.instances import EACH, LAST, MEAN, Arm

FIRST = (1, 3, 5)
"""Numbers n of TnR."""
SIMULATED = 200
"""Simulated rankings of the floor and of the ceiling."""
BEST = 0.1
"""Share of the architectures whose operations are counted as those of the best."""
FLOOR, CEILING = "floor: random rankings", "ceiling: trained alone, one run each"


@dataclass(frozen=True)
class Measures:
    """Measures of some rankings of the same architectures.

    Attributes:
        name: What they are rankings by.
        weights: Which weights of a supernet; empty for others.
        s_tau: Agreement with each other; None for a single ranking.
        gt_tau: Agreement with the truth; None without one.
        top_tau: The same among the best tenth by the truth.
        ranks: TnR by n.
        last_mean: GT-Tau-Mean-k of each instance; None but for the weights after the last step.
        last_sd: GT-Tau-Std-k of each instance.
        seconds: Mean cost of one ranking; None if it is unknown.
    """

    name: str
    weights: str
    s_tau: Spread | None
    gt_tau: Spread | None
    top_tau: Spread | None
    ranks: Mapping[int, Spread]
    last_mean: Spread | None = None
    last_sd: Spread | None = None
    seconds: float | None = None


def measure(
    name: str,
    rankings: np.ndarray,
    truth: GroundTruth | None,
    seed: int,
    *,
    weights: str = "",
    seconds: float | None = None,
    resamples: int = RESAMPLES,
) -> Measures:
    """Measure rankings (N, n), higher is better."""
    agreement = s_tau(rankings, seed, resamples) if len(rankings) > 1 else None
    if truth is None:
        return Measures(name, weights, agreement, None, None, {}, seconds=seconds)
    accuracy = truth.accuracy
    return Measures(
        name=name,
        weights=weights,
        s_tau=agreement,
        gt_tau=over_instances(gt_tau(rankings, accuracy), seed, resamples),
        top_tau=over_instances(top_tau(rankings, accuracy), seed, resamples),
        ranks={n: over_instances(best_rank(rankings, accuracy, n), seed, resamples) for n in FIRST},
        seconds=seconds,
    )


def measure_arm(arm: Arm, truth: GroundTruth | None, seed: int) -> list[Measures]:
    """Measure a setting by each kind of weights; none without a complete instance."""
    found = []
    for weights, rankings in arm.rankings().items():
        durations = [each.seconds for each in arm.instances if each.seconds is not None]
        seconds = float(np.mean(durations)) if durations else None
        measures = measure(arm.name, rankings, truth, seed, weights=weights, seconds=seconds)
        found.append(_with_last(measures, arm, truth, seed) if weights == LAST and truth else measures)
    return [*found, _each_step(arm, truth, seed)] if found and arm.last > 1 else found


def _with_last(measures: Measures, arm: Arm, truth: GroundTruth, seed: int) -> Measures:
    of_steps = [last_steps(each.accuracy, truth.accuracy, arm.last) for each in arm.instances]
    mean, sd = (
        over_instances(np.array(values), seed) for values in zip(*((s.mean, s.sd) for s in of_steps), strict=True)
    )
    return Measures(**{**vars(measures), "last_mean": mean, "last_sd": sd})


def _each_step(arm: Arm, truth: GroundTruth | None, seed: int) -> Measures:
    """Measure the rankings after each of the last k steps, within each instance: S-Tau is the agreement of steps."""
    of_instances = [measure("", take_last(each.accuracy, arm.last), truth, seed, resamples=0) for each in arm.instances]

    def joined(spreads: Iterable[Spread | None]) -> Spread | None:
        found = list(spreads)
        means = [np.nan if each is None or each.mean.value is None else each.mean.value for each in found]
        return over_instances(np.array(means), seed) if any(found) else None

    return Measures(
        name=arm.name,
        weights=EACH,
        s_tau=joined(each.s_tau for each in of_instances),
        gt_tau=joined(each.gt_tau for each in of_instances),
        top_tau=joined(each.top_tau for each in of_instances),
        ranks={n: spread for n in FIRST if (spread := joined(each.ranks.get(n) for each in of_instances))},
    )


def limits(n: int, truth: GroundTruth | None, seed: int) -> list[Measures]:
    """Measure the floor and, if the deviation over runs is known, the ceiling."""
    found = [measure(FLOOR, random_rankings(n, SIMULATED, seed), truth, seed)]
    if truth is not None and truth.sd is not None:
        found.append(measure(CEILING, stand_alone_runs(truth.accuracy, truth.sd, SIMULATED, seed), truth, seed))
    return found


@dataclass(frozen=True)
class Bias:
    """Bias of the mean ranking of a setting, by the mean accuracy over the last k steps.

    Attributes:
        name: Name of the setting.
        properties: By name of the property.
        operations: By operation, its share among the best tenth and everywhere.
    """

    name: str
    properties: Mapping[str, PropertyBias]
    operations: Mapping[str, OperationShare]


def measure_bias(
    arms: Sequence[Arm],
    truth: GroundTruth,
    properties: Mapping[str, np.ndarray],
    operations: Mapping[str, np.ndarray],
) -> list[Bias]:
    """Measure the bias of each setting with a complete instance.

    Args:
        arms: The settings.
        truth: The ground truth.
        properties: (n,) by name, such as the number of parameters.
        operations: (n,) by operation, on how many edges it is chosen.
    """
    best = max(1, round(BEST * len(truth.accuracy)))
    found = []
    for arm in arms:
        if arm.instances:
            values = arm.rankings()[MEAN].mean(0)
            biases = {name: property_bias(values, truth.accuracy, amount) for name, amount in properties.items()}
            shares = operation_shares(values, truth.accuracy, operations, best)
            found.append(Bias(arm.name, biases, shares))
    return found
