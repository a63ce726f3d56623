"""Samples of search spaces: architectures drawn under complexity limits, trained, and scored."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zenfront.pipeline.evaluation.design_spaces.model_sample import ModelSample
from zenfront.pipeline.evaluation.sample import (
    PROPERTIES,
    Sample,
    draw_architectures,
    evaluation_experiment,
    orient,
    score_sample,
    train_sample,
    with_scores_of,
)
from zenfront.pipeline.evaluation.truth_table import TruthTable
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Constraint
from zenfront.pipeline.progress import View
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.spaces import Architecture

PRESETS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "resnet56": {"params": (0.02e6, 0.856e6), "flops": (0.008e9, 0.129e9)},
}
"""Named limits of complexity; `resnet56` has those of Radosavovic et al., ICCV 2019."""


@dataclass(frozen=True)
class Drawing:
    """Numbers of architectures to draw from each space, and their scores.

    Attributes:
        trained: Number of architectures to train; 0: none.
        scored: Number of architectures to score, the trained ones first.
        scores: Names of the scores.
        limits: Limits of complexities.
    """

    trained: int
    scored: int
    scores: Sequence[str]
    limits: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class SpaceSample:
    """Architectures drawn from one space, with their errors and scores.

    Attributes:
        errors: The trained architectures with their test errors in percent; None if none were trained.
        scores: The scored architectures, by score; a score's sign is changed where higher is better.
    """

    errors: ModelSample | None
    scores: Mapping[str, ModelSample]


def take_sample(
    experiment: Experiment, drawing: Drawing, runs: Path, view: Callable[[], AbstractContextManager[View]]
) -> SpaceSample:
    """Draw architectures of the experiment's space, train and score them; go on where an interrupted call ended.

    Args:
        experiment: Names the space, and the task, data and recipe of the training; its name names the folder.
        drawing: Numbers of architectures, scores and limits.
        runs: Folder of the run folders.
        view: Makes the view of a stage.

    Raises:
        UserError: The space holds fewer architectures within the limits; the data are missing; the cluster does not
            answer.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    limits = tuple(Constraint(score=n, at_least=low, at_most=high) for n, (low, high) in drawing.limits.items())
    limited = experiment.model_copy(update={"constraints": limits})
    study = evaluation_experiment(limited, drawing.scores, PROPERTIES)
    folder = RunFolder(runs / study.name)
    with folder.driving(with_scores_of(study, folder), score_by_score=True):
        architectures = draw_architectures(limited, max(drawing.trained, drawing.scored))
        trained = architectures[: drawing.trained]
        accuracy = dict.fromkeys(architectures, np.nan)
        if trained:
            with view() as shown:
                found = train_sample(study, folder, shown, trained)
            accuracy |= dict(zip(found.architectures, found.accuracy, strict=True))
        with view() as shown:
            sample = score_sample(study, folder, shown, _truth(accuracy))
    errors = _errors(experiment.space, sample, len(trained)) if trained else None
    return SpaceSample(errors, {name: _scores(experiment.space, sample, name) for name in drawing.scores})


def _truth(accuracy: Mapping[Architecture, float]) -> TruthTable:
    values = np.array(list(accuracy.values()))
    return TruthTable(list(accuracy), values, np.empty((len(values), 0)), "test accuracy after training")


def _errors(name: str, sample: Sample, count: int) -> ModelSample:
    """Return the first architectures, which were trained; one that diverged has no error."""
    first = sample.select(np.arange(len(sample.truth.accuracy)) < count)
    return _model_sample(name, first, 100 - first.truth.accuracy)


def _scores(name: str, sample: Sample, score: str) -> ModelSample:
    return _model_sample(name, sample, -orient(score, sample.scores[score], sample.code))


def _model_sample(name: str, sample: Sample, errors: np.ndarray) -> ModelSample:
    complexities = {cost: sample.scores[cost] for cost in PROPERTIES if cost in sample.scores}
    architectures = [sample.space.notation(each) for each in sample.truth.architectures]
    return ModelSample(name, errors, complexities, sample.numbers(), architectures=architectures)
