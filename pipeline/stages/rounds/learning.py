"""The model that is fitted in a round, and `learned`, the accuracy that it expects, as a score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.analysis.learned import Candidates, Encoder, Model, Observations, Population, fit
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import violations
from zenfront.pipeline.record.round_outcomes import Curve
from zenfront.pipeline.record.training_result import main_cost
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.schedulers import milestones
from zenfront.pipeline.structure.genes import gene_row
from zenfront.pipeline.structure.graph import COLUMNS

LEARNED = "learned"
"""Name of the score: the validation accuracy (or other metric) after the whole training that the model of a round
expects."""
LEAST = 3
"""Networks with an accuracy that a model needs."""


@dataclass(frozen=True, eq=False)
class Learned:
    """The model of one round.

    Attributes:
        experiment: The experiment.
        encoder: Encodes scored architectures.
        model: Fitted on all trainings so far; its accuracies are `Metric.sign` times the metric, so higher is better.
        described: Whether the graphs of all architectures are known.
    """

    experiment: Experiment
    encoder: Encoder
    model: Model
    described: bool

    def candidates(self, scored: Sequence[Scores]) -> Candidates:
        """Return feasible architectures as the model sees them."""
        return self.encoder.encode(population_of(self.experiment, scored, self.described))

    def score(self, scored: Sequence[Scores]) -> list[Scores]:
        """Return scores with `learned` added, in their order; infeasible architectures stay without it."""
        feasible = [
            s for s, excess in zip(scored, violations(scored, self.experiment.constraints), strict=True) if not excess
        ]
        if not feasible:
            return list(scored)
        accuracy = self.experiment.train.compared.sign * self.model.predict(self.candidates(feasible)).accuracy()
        found = {s.architecture: float(value) for s, value in zip(feasible, accuracy, strict=True)}
        return [
            replace(s, values={**s.values, LEARNED: found[s.architecture]}) if s.architecture in found else s
            for s in scored
        ]


def learn(experiment: Experiment, archive: Sequence[Scores], curves: Mapping[str, Curve]) -> Learned | None:
    """Return the model of what is known, or None if too little is known for one.

    Args:
        experiment: The experiment.
        archive: All feasible architectures that were scored, the trained ones among them.
        curves: Curve of each trained network by its id.
    """
    described = all(scores.graph for scores in archive)
    encoder = Encoder.of(population_of(experiment, archive, described))
    index = {scores.architecture.id: position for position, scores in enumerate(archive)}
    seen = observations(experiment, {index[name]: curve for name, curve in curves.items()})
    if len(set(seen.index.tolist())) < LEAST:
        return None
    return Learned(experiment, encoder, fit(encoder.encode(encoder.reference), seen), described)


def population_of(experiment: Experiment, scored: Sequence[Scores], described: bool) -> Population:
    """Return what is known of feasible architectures before they are trained."""
    space, code, cost = spaces.load(experiment.space, experiment.code), experiment.code, main_cost(experiment)
    signs = {objective.score: -objective.sign for objective in experiment.objectives}
    genes = np.array([gene_row(space, scores.architecture) for scores in scored])
    unknown = (0.0,) * len(COLUMNS)
    graphs = {"graph": np.array([scores.graph or unknown for scores in scored])} if described else {}
    return Population(
        scores={
            name: signs.get(name, 1) * np.array([scores.values[name] for scores in scored])
            for name in experiment.score_names()
        },
        cost=np.array([scores.values[cost] if cost else 1.0 for scores in scored]),
        structure={"genes": genes, **graphs},
        objectives=[name for name in signs if not proxies.load(name, code).is_cost],
    )


def observations(experiment: Experiment, curves: Mapping[int, Curve]) -> Observations:
    """Return the accuracies at the rungs and at the end of the training, by the number of the architecture.

    Of another metric they are `Metric.sign` times the metric, so that higher is better.

    A run that diverged is taken for as bad as the worst of the others at the rung to which it was on its way. If no run
    was trained to the end, the last rung that was reached counts as the end.
    """
    train, scheduler = experiment.train, experiment.train.scheduler
    stations = [*milestones(scheduler.grace_period, scheduler.reduction_factor, train.epochs), train.epochs]
    sign = train.compared.sign
    rows = [(i, sign * curve.accuracy[m], m) for m in stations for i, curve in curves.items() if m in curve.accuracy]
    worst = {m: min(accuracy for _, accuracy, at in rows if at == m) for _, _, m in rows}
    for i, curve in curves.items():
        missed = next((m for m in stations if curve.failed and m >= curve.failed), None)
        if missed in worst and missed:
            rows.append((i, worst[missed], missed))
    index, accuracy, epoch = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return Observations(index.astype(int), accuracy, epoch / max(epoch, default=1.0))
