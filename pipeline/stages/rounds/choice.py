"""The choice of a round: by the model, or by the rule of the first round where there is none that predicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.analysis.learned import choose
from zenfront.pipeline.analysis.learned.acquisition import INTERVAL
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import losses
from zenfront.pipeline.pareto import front_indices
from zenfront.pipeline.results.rounds import Round, RoundNetwork
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.stages import select
from zenfront.pipeline.stages.rounds.first_round import at_random, share_by_rule, sizes_of
from zenfront.pipeline.stages.rounds.learning import Learned


@dataclass(frozen=True)
class Known:
    """Information from which a round chooses.

    Attributes:
        experiment: The experiment.
        number: Number of the round, from 2.
        taken: Ids of the networks that earlier rounds chose.
        archive: All feasible architectures that are scored, sorted by id.
        drawn: Those of them that were drawn at random.
    """

    experiment: Experiment
    number: int
    taken: frozenset[str]
    archive: Sequence[Scores]
    drawn: Sequence[Scores]

    @property
    def size(self) -> int:
        """Number of networks that the round is to choose."""
        return sizes_of(self.experiment)[self.number - 1]


def by_model(known: Known, learned: Learned) -> Round:
    """Return the round that the model chooses: what is expected to raise the accuracies at most at each cost most."""
    taken = [i for i, scores in enumerate(known.archive) if scores.architecture.id in known.taken]
    choice = choose(learned.model, learned.candidates(known.archive), known.size, np.array(taken, dtype=int))
    predicted = _in_its_unit(known.experiment, choice.accuracy, choice.low, choice.high)
    networks = (
        RoundNetwork(known.archive[i].architecture.id, "model", *ends)
        for i, ends in zip(choice.picked.tolist(), predicted, strict=True)
    )
    return Round(known.number, "learned", tuple(networks), regret=choice.regret)


def by_rule(known: Known, learned: Learned | None, reason: str) -> Round:
    """Return the round that the rule of the first round chooses from what is left, with the predictions of the model.

    Args:
        known: Information from which to choose.
        learned: The model; None if there is none.
        reason: Why the model does not choose.
    """
    experiment = known.experiment
    left = [scores for scores in known.archive if scores.architecture.id not in known.taken]
    every = losses(left, experiment.objectives)
    members = [left[i] for i in front_indices(every)] if left else []
    front = losses(members, experiment.objectives)
    share = share_by_rule(experiment, known.number - 1)
    chosen = [members[i] for i in select.choose(experiment, front, share)] if members else []
    taken = known.taken | {scores.architecture.id for scores in chosen}
    others = at_random(experiment, [known.drawn, left], known.size - len(chosen), taken, known.number)
    predicted = iter(_predictions([*chosen, *others], learned))
    networks = (
        *(RoundNetwork(scores.architecture.id, "front", *next(predicted)) for scores in chosen),
        *(RoundNetwork(scores.architecture.id, "random", *next(predicted)) for scores in others),
    )
    regret = choose(learned.model, learned.candidates(known.archive), 0).regret if learned else None
    return Round(known.number, select.rule_of(experiment)[0], networks, reason, regret)


def _predictions(scored: Sequence[Scores], learned: Learned | None) -> list[tuple[float, float, float] | tuple[()]]:
    """Return the predicted accuracy of each architecture with the ends of its interval; nothing without a model."""
    if learned is None or not scored:
        return [() for _ in scored]
    found = learned.model.predict(learned.candidates(scored))
    value, low, high = (found.accuracy(z) for z in (0.0, -INTERVAL, INTERVAL))
    return [*_in_its_unit(learned.experiment, value, low, high)]


def _in_its_unit(
    experiment: Experiment, value: np.ndarray, low: np.ndarray, high: np.ndarray
) -> list[tuple[float, float, float]]:
    """Return predictions of the model, for which higher is better, with their intervals as values of the metric."""
    sign = experiment.train.compared.sign
    ends = (low, high) if sign > 0 else (-high, -low)
    return list(zip((sign * value).tolist(), ends[0].tolist(), ends[1].tolist(), strict=True))
