"""Samples of search spaces: architectures drawn under complexity limits, trained, and scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zenfront.pipeline.evaluation.design_spaces.model_sample import LEAST, ModelSample
from zenfront.pipeline.evaluation.sample import (
    PROPERTIES,
    Sample,
    evaluation_experiment,
    orient,
    score_sample,
    train_sample,
    with_scores_of,
)
from zenfront.pipeline.evaluation.truth_table import TruthTable
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Constraint
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.stages.search.drawing import draw_architectures

PRESETS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "resnet56": {"params": (0.02e6, 0.856e6), "flops": (0.008e9, 0.129e9)},
}
"""Named limits of complexity; `resnet56` has those of Radosavovic et al., ICCV 2019."""


@dataclass(frozen=True)
class Drawing:
    """Number and kind of the samples of each space.

    Attributes:
        trained: Number of architectures to train; 0: none.
        scored: Number of architectures to score, the trained ones first; 0: scores of none, but the costs of those to
            train.
        scores: Names of the scores.
        limits: Limits of complexities.
        backend: Where the scores are taken.
    """

    trained: int
    scored: int
    scores: Sequence[str]
    limits: Mapping[str, tuple[float, float]]
    backend: Backend = "ray"

    @property
    def count(self) -> int:
        """Number of architectures to draw; a space that holds fewer is taken as a whole, if all to train are there."""
        return max(self.trained, self.scored)

    def without_scores(self) -> "Drawing":
        """Return what is taken under other settings of the training."""
        return replace(self, scored=0, scores=())


@dataclass(frozen=True, eq=False)
class DrawnSpace:
    """Random architectures of one space with their costs and scores.

    Attributes:
        study: The experiment that scores and trains them.
        folder: Its run folder.
        drawing: What is taken of the space.
        sample: The architectures; their accuracies are unknown.
    """

    study: Experiment
    folder: RunFolder
    drawing: Drawing
    sample: Sample

    @property
    def size(self) -> int:
        """Number of architectures."""
        return len(self.sample.truth.architectures)

    def scores(self, name: str) -> ModelSample:
        """Return the models with a score, whose sign is changed where higher is better."""
        return self._models(self.sample, -orient(name, self.sample.scores[name], self.sample.code))

    def costs(self) -> ModelSample:
        """Return the models that are to be trained, all with the error 0."""
        to_train = self._to_train
        return self._models(to_train, np.zeros(len(to_train.truth.architectures)))

    def train(self, view: View) -> ModelSample:
        """Train the architectures, and return them with their test errors in percent; one that diverged has none.

        Raises:
            UserError: The data are missing; the cluster does not answer; no network could be trained.
            KeyboardInterrupt: Interrupted; the record is complete up to here.
        """
        to_train = self._to_train
        with self.folder.driving(with_scores_of(self.study, self.folder), score_by_score=True):
            found = train_sample(self.study, self.folder, view, to_train.truth.architectures)
        accuracy = dict(zip(found.architectures, found.accuracy, strict=True))
        errors = [100 - accuracy.get(each, np.nan) for each in to_train.truth.architectures]
        return self._models(to_train, np.array(errors))

    @property
    def _to_train(self) -> Sample:
        return self.sample.select(np.arange(len(self.sample.truth.accuracy)) < self.drawing.trained)

    def _models(self, sample: Sample, errors: np.ndarray) -> ModelSample:
        complexities = {cost: sample.scores[cost] for cost in PROPERTIES if cost in sample.scores}
        architectures = [sample.space.notation(each) for each in sample.truth.architectures]
        return ModelSample(sample.space.name, errors, complexities, sample.numbers(), architectures=architectures)


def draw_space(experiment: Experiment, drawing: Drawing, runs: Path, view: View) -> DrawnSpace:
    """Draw architectures of the experiment's space and score them; go on where an interrupted call ended.

    Args:
        experiment: Names the space, and the task, data and recipe of the training; its name names the folder.
        drawing: What to take.
        runs: Folder of the run folders.
        view: Display of the work.

    Raises:
        UserError: The space holds fewer architectures within the limits; the cluster does not answer.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    limits = tuple(Constraint(score=n, at_least=low, at_most=high) for n, (low, high) in drawing.limits.items())
    limited = experiment.model_copy(update={"constraints": limits})
    study = evaluation_experiment(limited, drawing.scores, PROPERTIES)
    folder = RunFolder(runs / study.name)
    with folder.driving(with_scores_of(study, folder), score_by_score=True):
        architectures = draw_architectures(limited, drawing.count, least=max(drawing.trained, LEAST))
        unknown = np.full(len(architectures), np.nan)
        truth = TruthTable(architectures, unknown, np.empty((len(architectures), 0)), "test accuracy after training")
        return DrawnSpace(study, folder, drawing, score_sample(study, folder, view, truth, drawing.backend))
