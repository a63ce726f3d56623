"""Architectures with their scores and accuracies: what the evidence is drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zenfront.pipeline import proxies
from zenfront.pipeline.analysis.conditions import Condition, Value, categories, properties
from zenfront.pipeline.analysis.evidence import LEAST, Truth
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.truth_table import TruthTable, read_scores
from zenfront.pipeline.experiment.config import Experiment, SchedulerConfig, Select
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.progress import View
from zenfront.pipeline.record.json_file import read_document
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results import Trained, TrainedRun
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.search.driver import score_given
from zenfront.pipeline.stages.train.stage import train_given
from zenfront.spaces import Architecture, Space
from zenfront.spaces import load as load_space

BASELINES = ("flops", "params", "live_params")
"""Free scores, taken with every other: of them more is better."""
PROPERTIES = ("flops", "params", "depth", "activations")
TRIES = 1000
"""Draws in a row without a new architecture after which the space is taken to be exhausted."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Scores and accuracies of n architectures.

    Attributes:
        space: Theirs.
        known: Architectures and accuracies.
        scores: (n,) by name, as measured; NaN: undefined.
    """

    space: Space
    known: TruthTable
    scores: Mapping[str, np.ndarray]

    def holds(self, condition: Condition) -> np.ndarray:
        """Whether each architecture fulfils a condition on genes, categories and scores.

        Raises:
            UserError: The condition names what is not known.
        """
        return np.array([condition.holds(self._properties(i)) for i in range(len(self.known.accuracy))])

    def _properties(self, index: int) -> dict[str, Value]:
        scores = {name: float(values[index]) for name, values in self.scores.items()}
        return properties(self.space, self.known.architectures[index]) | scores

    def only(self, rows: np.ndarray) -> "Sample":
        """The part of these rows, (n,) bool."""
        known = self.known
        chosen = [a for a, here in zip(known.architectures, rows, strict=True) if here]
        part = TruthTable(chosen, known.accuracy[rows], known.seeds[rows], known.source)
        return Sample(self.space, part, {name: values[rows] for name, values in self.scores.items()})

    def truth(self, seed: int) -> Truth:
        """As the analysis takes it.

        Raises:
            UserError: There are too few architectures.
        """
        if len(self.known.accuracy) < LEAST:
            raise UserError(f"at least {LEAST} architectures are needed, but got {len(self.known.accuracy)}.")
        costs = {name: self.scores[name] for name in PROPERTIES if name in self.scores}
        return Truth(
            self.known.accuracy,
            self.known.seeds,
            self.scores["flops"],
            {name: self.scores[name] for name in BASELINES if name in self.scores},
            costs | self._genes(),
            seed,
        )

    def _genes(self) -> dict[str, np.ndarray]:
        """How often each category occurs, and the genes that are numbers."""
        rows = [properties(self.space, architecture) for architecture in self.known.architectures]
        numbers = [name for name, levels in self.space.levels.items() if not isinstance(levels.values[0], str)]
        return {name: np.array([float(row[name]) for row in rows]) for name in [*categories(self.space), *numbers]}


def oriented(name: str, values: np.ndarray) -> np.ndarray:
    """A score with higher is better; of a cost more is taken to be better, of an unknown score too."""
    proxy = proxies.load(name) if name in proxies.names() else None
    return -values if proxy and not proxy.is_cost and proxy.direction == "minimise" else values


def study(experiment: Experiment, names: Sequence[str]) -> Experiment:
    """The experiment that takes these scores and the free ones, without constraints, and stops no training."""
    every = dict.fromkeys([*BASELINES, *(name for name in PROPERTIES if name not in BASELINES), *names])
    objectives = tuple(Objective(score=name, direction=proxies.load(name).direction) for name in every)
    train = experiment.train.model_copy(update={"scheduler": SchedulerConfig(name="fifo", grace_period=1)})
    changes = {"objectives": objectives, "constraints": (), "train": train, "select": Select(k=1)}
    return experiment.model_copy(update=changes | {"name": f"{experiment.name}.study"})


def scored(experiment: Experiment, folder: RunFolder, view: View, known: TruthTable) -> Sample:
    """Takes the scores of the study on the cluster; what is in the folder already is not taken again."""
    rows = score_given(experiment, folder, view, known.architectures)
    return _joined(experiment.space, known, [row.values for row in rows], experiment.score_names())


def from_table(experiment: Experiment, path: Path, known: TruthTable, names: Sequence[str] | None) -> Sample:
    """Takes the scores from a table, of the architectures that it holds.

    Args:
        experiment: Gives the space.
        path: Of the parquet file.
        known: With accuracies.
        names: Of the scores; None: all columns that are named like a proxy.

    Raises:
        UserError: A column is missing; the table holds none of the architectures.
    """
    table = read_scores(path, load_space(experiment.space))
    columns = list(dict.fromkeys(name for row in table.values() for name in row))
    wanted = dict.fromkeys([*BASELINES, *PROPERTIES, *(names or [n for n in columns if n in proxies.names()])])
    needed = [*(names or []), "flops"]
    if missing := [name for name in needed if name not in columns]:
        raise UserError(f"{path} has no column {missing[0]!r}. It has: {', '.join(columns)}.")
    here = np.array([architecture.id in table for architecture in known.architectures])
    if not here.any():
        raise UserError(f"{path} holds none of the {len(here)} architectures whose accuracy is known.")
    rows = [table.get(architecture.id, {}) for architecture in known.architectures]
    return _joined(experiment.space, known, rows, [name for name in wanted if name in columns]).only(here)


def _joined(space: str, known: TruthTable, rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> Sample:
    scores = {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}
    return Sample(load_space(space), known, scores)


def drawn(known: TruthTable, count: int | None, seed: int) -> TruthTable:
    """So many of the known, at random; all if not given."""
    if count is None or count >= len(known.accuracy):
        return known
    chosen = np.sort(numpy_generator(seed, "correlate", "sample").permutation(len(known.accuracy))[:count])
    architectures = [known.architectures[i] for i in chosen]
    return TruthTable(architectures, known.accuracy[chosen], known.seeds[chosen], known.source)


def trained(experiment: Experiment, folder: RunFolder, view: View, architectures: Sequence[Architecture]) -> TruthTable:
    """Trains the architectures to the end, with all seeds of the experiment; test accuracies in percent."""
    runs = _trained_before(folder)
    if not {architecture.id for architecture in architectures} <= {run.architecture for run in runs}:
        runs = train_given(experiment, folder, view, architectures)
    accuracies: dict[str, dict[int, float]] = {}
    for run in runs:
        if run.test_accuracy is not None:
            accuracies.setdefault(run.architecture, {})[run.seed] = 100 * run.test_accuracy
    here = [a for a in architectures if a.id in accuracies]
    seeds = np.array([[accuracies[a.id].get(s, np.nan) for s in experiment.train.seeds] for a in here])
    return TruthTable(here, np.nanmean(seeds, axis=1), seeds, "test accuracy after training")


def _trained_before(folder: RunFolder) -> list[TrainedRun]:
    trained = read_document(folder.trained, Trained.from_row)
    return trained.trials if trained else []


def random_architectures(experiment: Experiment, count: int) -> list[Architecture]:
    """So many architectures of the space, each once, that can be built and whose costs the constraints allow.

    The first of many are the same as of few.

    Raises:
        UserError: The space does not hold so many.
    """
    space, task = load_space(experiment.space), experiment.task
    costs = [c for c in experiment.constraints if proxies.load(c.score).is_cost]
    scoring = Scoring(space, task, [c.score for c in costs], noise_batch(task, 2, 0), 0)
    generator = numpy_generator(experiment.search.seed, "correlate", "architectures")
    found: dict[Architecture, bool] = {}
    tries = 0
    while sum(found.values()) < count:
        architecture, tries = space.sample(generator), tries + 1
        if tries > TRIES:
            raise UserError(f"--train: {sum(found.values())} architectures fulfil the constraints, but got {count}.")
        if architecture not in found:
            allowed = space.violation(architecture, task) is None
            if allowed and costs:
                values = scoring.score(architecture).values
                allowed = all(c.score in values and not c.excess(values[c.score]) for c in costs)
            found[architecture] = allowed
            tries = 0 if allowed else tries
    return [architecture for architecture, allowed in found.items() if allowed]
