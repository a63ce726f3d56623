"""What costs less than a supernet, on the same architectures: training-free proxies, and a model fitted on few."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.analysis.conditions import categories
from zenfront.pipeline.evaluation.learned import cross_validated
from zenfront.pipeline.evaluation.sample import PROPERTIES, Sample, orient, recorded_sample, score_sample
from zenfront.pipeline.evaluation.truth_table import TruthTable
from zenfront.pipeline.evaluation.weight_sharing.ground_truth import GroundTruth
from zenfront.pipeline.evaluation.weight_sharing.measures import Measures, measure
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.spaces import Architecture

TRAINED = (8, 16, 32)
"""Numbers of trained networks on which the learned model is fitted."""


@dataclass(frozen=True, eq=False)
class Beside:
    """Scores of the architectures without a supernet.

    Attributes:
        measures: Of each score and of the learned models.
        properties: (n,) by name of a cost, for the bias.
        operations: (n,) by operation, on how many edges it is chosen.
        missing: Names of the scores that are left out, since some architectures have no value.
    """

    measures: Sequence[Measures]
    properties: Mapping[str, np.ndarray]
    operations: Mapping[str, np.ndarray]
    missing: Sequence[str] = ()


NOTHING: Beside = Beside([], {}, {})
"""Without a ground truth, there is nothing to compare."""


def score_beside(
    experiment: Experiment,
    folder: RunFolder,
    view: View,
    architectures: Sequence[Architecture],
    truth: GroundTruth,
    backend: Backend = "ray",
) -> Beside:
    """Take the scores of the experiment on all architectures, and fit the learned model on few of the accuracies.

    Raises:
        UserError: The record cannot be written; the cluster does not answer.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    sample = score_sample(experiment, folder, view, _table(architectures, truth), backend)
    return _compare(sample, folder, truth, experiment)


def recorded_beside(
    experiment: Experiment, folder: RunFolder, architectures: Sequence[Architecture], truth: GroundTruth
) -> Beside:
    """Do the same with the scores that are recorded; those that some architectures lack are left out."""
    sample = recorded_sample(experiment, folder, _table(architectures, truth))
    return _compare(sample, folder, truth, experiment) if "flops" in sample.scores else NOTHING


def _table(architectures: Sequence[Architecture], truth: GroundTruth) -> TruthTable:
    return TruthTable(architectures, truth.accuracy, np.empty((len(architectures), 0)), truth.source)


def _compare(sample: Sample, folder: RunFolder, truth: GroundTruth, experiment: Experiment) -> Beside:
    seed, names = experiment.search.seed, experiment.score_names()
    seconds = _seconds(folder, sample.truth.architectures)
    complete = {name: values for name, values in sample.scores.items() if np.isfinite(values).all()}
    found = [
        measure(name, orient(name, values, sample.code)[None], truth, seed, seconds=seconds.get(name))
        for name, values in complete.items()
    ]
    for name, values in cross_validated(sample, seed, TRAINED).items():
        found.append(measure(f"{name} trained", values[None], truth, seed))
    properties = {name: complete[name] for name in PROPERTIES if name in complete}
    missing = [name for name in names if name not in complete]
    return Beside(found, properties, _operations(sample), missing)


def _seconds(folder: RunFolder, architectures: Sequence[Architecture]) -> dict[str, float]:
    """Return the time that each score took on all architectures."""
    here = set(architectures)
    total: dict[str, float] = {}
    for row in read_values(folder.scores, Scores.from_row):
        if row.architecture in here:
            for name, seconds in row.seconds.items():
                total[name] = total.get(name, 0.0) + seconds
    return total


def _operations(sample: Sample) -> dict[str, np.ndarray]:
    numbers = sample.numbers()
    return {name: numbers[name] for name in categories(sample.space)}
