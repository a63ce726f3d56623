"""Samples of architectures with their scores and accuracies: drawn, scored, trained, or read from tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from zenfront.pipeline import proxies
from zenfront.pipeline.analysis.assessment import LEAST, ReferenceData
from zenfront.pipeline.analysis.conditions import Condition, Value, categories, properties
from zenfront.pipeline.analysis.reliability import Reliability
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.truth_table import UNCHANGED, TruthTable, read_scores
from zenfront.pipeline.experiment.config import Experiment, Select
from zenfront.pipeline.experiment.train_config import SchedulerConfig
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.pilot import read_reliabilities
from zenfront.pipeline.record.run_documents import read_outcomes
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.score_record import joined
from zenfront.pipeline.results.metric import ACCURACY, Metric
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.search.stage import score_given
from zenfront.pipeline.stages.train.stage import train_given
from zenfront.pipeline.structure import Describer
from zenfront.pipeline.user_code import UserCode
from zenfront.spaces import Architecture, Space, Task
from zenfront.spaces import load as load_space

BASELINES = ("flops", "params", "live_params")
"""Free scores that are always taken; more is taken to be better."""
PROPERTIES = ("flops", "params", "depth", "activations")
"""Costs by which a score may be biased; always taken."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Scores and accuracies of n architectures.

    Attributes:
        space: Space of the architectures.
        task: Shape of the images and number of outputs.
        truth: Architectures and accuracies.
        scores: (n,) by name, as measured; NaN where undefined.
        code: Code of the experiment, which tells the direction of its own scores.
        reliabilities: Reliability of the scores at equal FLOPs, where it was measured.
        objectives: Names of the experiment's objectives that are among the scores.
        is_latency: Whether the truth holds latencies in place of accuracies.
    """

    space: Space
    task: Task
    truth: TruthTable
    scores: Mapping[str, np.ndarray]
    code: Sequence[UserCode] = ()
    reliabilities: Mapping[str, Reliability] = field(default_factory=dict)
    objectives: Sequence[str] = ()
    is_latency: bool = False

    @property
    def target(self) -> str:
        """What the scores are compared with."""
        return "latency" if self.is_latency else "accuracy"

    @cached_property
    def structure(self) -> Mapping[str, np.ndarray]:
        """Genes and counts of the graph of every architecture, (n, d) by name of the block."""
        return Describer(self.space, self.task).describe(self.truth.architectures)

    def holds(self, condition: Condition) -> np.ndarray:
        """Return whether each architecture, (n,) bool, fulfils a condition on genes, categories and scores.

        Raises:
            UserError: The condition names an unknown property.
        """
        return np.array([condition.holds(self._properties(i)) for i in range(len(self.truth.accuracy))])

    def _properties(self, index: int) -> dict[str, Value]:
        scores = {name: float(values[index]) for name, values in self.scores.items()}
        return properties(self.space, self.truth.architectures[index]) | scores

    def select(self, rows: np.ndarray) -> "Sample":
        """Return the sample of these rows, given as (n,) bool."""
        scores = {name: values[rows] for name, values in self.scores.items()}
        return replace(self, truth=self.truth.select(rows), scores=scores)

    def require_enough(self) -> None:
        """Check that the sample is large enough for statistics.

        Raises:
            UserError: There are too few architectures.
        """
        if len(self.truth.accuracy) < LEAST:
            raise UserError(f"at least {LEAST} architectures are needed, but got {len(self.truth.accuracy)}.")

    def reference(self, seed: int) -> ReferenceData:
        """Return the data that scores are compared with.

        Args:
            seed: Seed of the bootstrap.

        Raises:
            UserError: There are too few architectures.
        """
        self.require_enough()
        costs = {name: self.scores[name] for name in PROPERTIES if name in self.scores}
        return ReferenceData(
            accuracy=self.truth.accuracy,
            seeds=self.truth.seeds,
            cost=self.scores["flops"],
            baselines={name: self.scores[name] for name in BASELINES if name in self.scores},
            properties=costs | self.numbers(),
            seed=seed,
        )

    def numbers(self) -> dict[str, np.ndarray]:
        """Return how often each category of the genes occurs, and the genes that are numbers, (n,) by name."""
        rows = [properties(self.space, architecture) for architecture in self.truth.architectures]
        numbers = [name for name, levels in self.space.levels.items() if not isinstance(levels.values[0], str)]
        return {name: np.array([float(row[name]) for row in rows]) for name in [*categories(self.space), *numbers]}


def orient(name: str, values: np.ndarray, code: Sequence[UserCode] = ()) -> np.ndarray:
    """Return a score with the sign for which higher is better.

    More of a cost is taken to be better, and more of a score that is not a proxy.
    """
    proxy = proxies.load(name, code) if name in proxies.names(code) else None
    return -values if proxy and not proxy.is_cost and proxy.direction == "minimise" else values


def evaluation_experiment(
    experiment: Experiment, names: Sequence[str], free: Sequence[str] = (*BASELINES, *PROPERTIES)
) -> Experiment:
    """Return the experiment that takes these scores and the free ones, without constraints, and stops no training."""
    every = dict.fromkeys([*free, *names])
    directions = {name: proxies.load(name, experiment.code).direction for name in every}
    objectives = tuple(Objective(score=name, direction=direction) for name, direction in directions.items())
    train = experiment.train.model_copy(update={"scheduler": SchedulerConfig(name="fifo", grace_period=1)})
    changes = {"objectives": objectives, "constraints": (), "train": train, "select": Select(k=1)}
    return experiment.model_copy(update=changes | {"name": f"{experiment.name}.study"})


def with_scores_of(experiment: Experiment, folder: RunFolder) -> Experiment:
    """Return the experiment with the scores that its folder has of earlier calls in front of its own."""
    if not folder.computed().scores:
        return experiment
    before = folder.experiment().objectives
    names = {objective.score for objective in before}
    added = tuple(objective for objective in experiment.objectives if objective.score not in names)
    return experiment.model_copy(update={"objectives": (*before, *added)})


def score_sample(
    experiment: Experiment, folder: RunFolder, view: View, truth: TruthTable, backend: Backend = "ray"
) -> Sample:
    """Take the scores of the experiment; those that are in the folder are not taken again."""
    rows = score_given(experiment, folder, view, truth.architectures, backend)
    sample = _join(experiment, truth, [row.values for row in rows], experiment.score_names())
    return replace(sample, reliabilities=read_reliabilities(experiment, folder))


def recorded_sample(experiment: Experiment, folder: RunFolder, truth: TruthTable) -> Sample:
    """Return the scores of the experiment that the folder has for every architecture."""
    known = {row.architecture.id: row.values for row in joined(read_values(folder.scores, Scores.from_row))}
    rows = [known.get(architecture.id, {}) for architecture in truth.architectures]
    return _join(experiment, truth, rows, [n for n in experiment.score_names() if all(n in row for row in rows)])


def read_sample(
    experiment: Experiment,
    path: Path,
    truth: TruthTable,
    names: Sequence[str] | None,
    columns: Mapping[str, str] = UNCHANGED,
) -> Sample:
    """Read the scores of the architectures from a table; those that it does not hold are left out.

    Args:
        experiment: Names the space.
        path: Path of the table.
        truth: Architectures with accuracies.
        names: Names of the scores; None: all columns that have the name of a proxy.
        columns: Columns of the table, by the names that they have here.

    Raises:
        UserError: A column is missing, or the table holds none of the architectures.
    """
    table = read_scores(path, load_space(experiment.space, experiment.code), columns)
    held = list(dict.fromkeys(name for row in table.values() for name in row))
    known = proxies.names(experiment.code)
    wanted = dict.fromkeys([*BASELINES, *PROPERTIES, *(names or [n for n in held if n in known])])
    needed = [*(names or []), "flops"]
    if missing := [name for name in needed if name not in held]:
        raise UserError(f"{path} has no column {missing[0]!r}. It has: {', '.join(held)}.")
    here = np.array([architecture.id in table for architecture in truth.architectures])
    if not here.any():
        raise UserError(f"{path} holds none of the {len(here)} architectures whose accuracy is known.")
    rows = [table.get(architecture.id, {}) for architecture in truth.architectures]
    return _join(experiment, truth, rows, [name for name in wanted if name in held]).select(here)


def _join(
    experiment: Experiment, truth: TruthTable, rows: Sequence[Mapping[str, float]], names: Sequence[str]
) -> Sample:
    scores = {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}
    space = load_space(experiment.space, experiment.code)
    objectives = [objective.score for objective in experiment.objectives if objective.score in scores]
    return Sample(space, experiment.task, truth, scores, experiment.code, objectives=objectives)


def draw(truth: TruthTable, count: int | None, seed: int) -> TruthTable:
    """Draw architectures at random, in the order of the table; None: all of them."""
    if count is None or count >= len(truth.accuracy):
        return truth
    order = numpy_generator(seed, "correlate", "sample").permutation(len(truth.accuracy))
    return truth.select(np.sort(order[:count]))


def train_sample(
    experiment: Experiment, folder: RunFolder, view: View, architectures: Sequence[Architecture]
) -> TruthTable:
    """Train the architectures to the end with all seeds of the experiment; return test accuracies in percent.

    Of a training function, the metric takes the place of the accuracy, times -1 if less of it is better.
    """
    metric = experiment.train.tabled
    runs = read_outcomes(folder, experiment)
    if not {architecture.id for architecture in architectures} <= {run.architecture for run in runs}:
        runs = train_given(experiment, folder, view, architectures)
    accuracies: dict[str, dict[int, float]] = {}
    for run in runs:
        if (value := run.test(metric.name)) is not None:
            accuracies.setdefault(run.architecture, {})[run.seed] = metric.sign * metric.scale * value
    here = [a for a in architectures if a.id in accuracies]
    seeds = np.array([[accuracies[a.id].get(s, np.nan) for s in experiment.train.seeds] for a in here])
    return TruthTable(here, np.nanmean(seeds, axis=1), seeds, _source(metric))


def _source(metric: Metric) -> str:
    negated = " times -1" if metric.sign < 0 else ""
    return "test accuracy after training" if metric == ACCURACY else f"{metric.words} after training{negated}"
