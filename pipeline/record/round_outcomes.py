"""Outcomes of rounds: the accuracies of their networks, and whether the model has predicted them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from zenfront.pipeline.analysis.learned import agreement
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.rounds import RankCorrelation, Round, RoundNetwork
from zenfront.pipeline.results.stage_rows import Epoch, trial_name

JUDGED = 10
"""Networks from which on a model is judged; on fewer, the interval of a rank correlation says nothing about it."""


@dataclass
class Curve:
    """Validation accuracies of one training run, or values of the metric of a training function.

    Attributes:
        accuracy: Value by epoch.
        failed: Epoch in which the run ended itself or its worker failed, or None.
    """

    accuracy: dict[int, float] = field(default_factory=dict)
    failed: int | None = None

    @property
    def last(self) -> int:
        """Last completed epoch, or 0."""
        return max(self.accuracy, default=0)


def curves_of(experiment: Experiment, front: Front, epochs: Iterable[Epoch]) -> dict[str, Curve]:
    """Return the curve of the first seed of each selected network by its id, as far as it is recorded."""
    curves = {trial_name(name, experiment.train.seeds[0]): Curve() for name in front.selected}
    metric = experiment.train.recorded
    for epoch in epochs:
        if epoch.trial in curves and epoch.failure:
            curves[epoch.trial].failed = epoch.epoch
        elif epoch.trial in curves:
            curves[epoch.trial].accuracy.setdefault(epoch.epoch, epoch.metrics[metric])
    return dict(zip(front.selected, curves.values(), strict=True))


def with_outcomes(experiment: Experiment, front: Front, epochs: Iterable[Epoch]) -> tuple[Round, ...]:
    """Return the rounds of a front with what came out of them so far."""
    if not front.rounds:
        return ()
    curves = curves_of(experiment, front, epochs)
    rounds: list[Round] = []
    for each in front.rounds:
        networks = tuple(_with_outcome(network, curves[network.architecture]) for network in each.networks)
        told = replace(each, networks=networks, agreement=_agreement(networks, curves))
        rounds.append(replace(told, judged=_judged([*rounds, told], curves)))
    return tuple(rounds)


def _with_outcome(network: RoundNetwork, curve: Curve) -> RoundNetwork:
    return replace(network, accuracy=curve.accuracy.get(curve.last), epochs=curve.last)


def _judged(rounds: Sequence[Round], curves: Mapping[str, Curve]) -> RankCorrelation | None:
    """Return the agreement on the newest rounds that together hold enough networks; None if all rounds do not."""
    networks: list[RoundNetwork] = []
    for each in reversed(rounds):
        networks += each.networks
        found = _agreement(networks, curves)
        if found and found.networks >= JUDGED:
            return found
    return None


def _agreement(networks: Sequence[RoundNetwork], curves: Mapping[str, Curve]) -> RankCorrelation | None:
    """Return the agreement on the networks that have a prediction and were trained without a failure."""
    compared = [
        (network.predicted, curve.accuracy)
        for network in networks
        if network.predicted is not None and (curve := curves[network.architecture]).accuracy and not curve.failed
    ]
    if not compared:
        return None
    epoch = min(max(accuracy) for _, accuracy in compared)
    found = agreement(np.array([p for p, _ in compared]), np.array([accuracy[epoch] for _, accuracy in compared]))
    return RankCorrelation(len(compared), epoch, found.value, found.low, found.high)
