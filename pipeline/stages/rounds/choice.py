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
    ends = zip(choice.picked.tolist(), choice.accuracy.tolist(), choice.low.tolist(), choice.high.tolist(), strict=True)
    networks = (RoundNetwork(known.archive[i].architecture.id, "model", *predicted) for i, *predicted in ends)
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
    value, low, high = (found.accuracy(z).tolist() for z in (0.0, -INTERVAL, INTERVAL))
    return list(zip(value, low, high, strict=True))
