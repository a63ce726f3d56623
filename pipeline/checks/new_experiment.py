"""Write an experiment for a data set: a commented YAML file with budgets that fit the images."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zenfront import spaces
from zenfront.pipeline.checks.evidence import measured_family
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import SHIPPED, load_experiment
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.results.overview import Overview
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training.images._classes import SKEWED
from zenfront.pipeline.training.images.proposal import propose
from zenfront.pipeline.wording import suggestion
from zenfront.spaces import Task

STEPS = 12_000
"""Gradient steps of a training run, between `EPOCHS`."""
EPOCHS = (15, 100)
SAMPLE = 32
"""Architectures whose median size bounds the search."""
BUDGETS = ((16, 40, 240, 16), (32, 48, 384, 32), (64, 32, 192, 16), (10_000, 24, 96, 8))
"""Population, evaluations and mini-batch of the search, by the largest side of the images in pixels."""
BOUNDED = ("params", "depth")
"""Costs that are bounded where width and depth vary: without a bound, the Zen-score prefers depth."""


@dataclass(frozen=True)
class NewExperiment:
    """An experiment for a data set.

    Attributes:
        name: Name of the run.
        space: Name of the search space.
        data: Settings of the data.
        found: Contents of the data.
    """

    name: str
    space: str
    data: Data
    found: Overview

    def text(self) -> str:
        """Return the YAML file."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        task, images = self.found.task, self.found.parts[0].images
        population, evaluations, largest_batch = _budget(task)
        template = self._template
        yield f"# Written by `zenfront init`. All keys with their defaults: zenfront config show {self.name}.yaml"
        yield f"name: {self.name}"
        yield f"space: {self.space}"
        yield f"task: auto # read from the data: {_described(task)}, {task.classes} classes"
        yield ""
        yield "# docs/evidence.md gives the reasons for the objectives. Measure them on your data:"
        yield f"# zenfront correlate {self.name}.yaml --train 30"
        yield "objectives:"
        yield from (f"  - {{ score: {o.score}, direction: {o.direction} }}" for o in template.objectives)
        yield from self._constraints()
        yield ""
        batch = max(2, min(largest_batch, images // 2))
        yield f"# For images of {max(task.height, task.width)} pixels; more evaluations find a better front."
        yield "search:"
        yield f"  population: {population}"
        yield f"  evaluations: {evaluations}"
        yield f"  batch: {batch}"
        yield f"  repeats: {template.search.repeats}"
        yield "select: { k: 8 } # networks that are trained"
        yield ""
        yield "train:"
        yield from self._metric()
        yield from self._data()
        yield from self._recipe(images)

    @property
    def _template(self) -> Experiment:
        return load_experiment(SHIPPED / ("cells.yaml" if measured_family(self.space) else "macro.yaml"))

    def _constraints(self) -> Iterator[str]:
        bounds = _medians(self.space, self.found.task) if self._template.constraints else {}
        if bounds:
            yield "constraints: # half of the space; without a bound, the Zen-score prefers depth"
            yield from (
                f"  - {{ score: {score}, at_most: {float(f'{value:.2g}'):.0f} }}" for score, value in bounds.items()
            )

    def _metric(self) -> Iterator[str]:
        counts = [sum(each) for each in zip(*(part.counts for part in self.found.parts), strict=True)]
        if max(counts) > SKEWED * min(counts):
            yield f"  # With {min(counts):,} to {max(counts):,} images a class, accuracy would count the large most."
            yield "  metric: balanced_accuracy"

    def _data(self) -> Iterator[str]:
        data = self.data
        yield "  data:"
        yield f"    source: {json.dumps(data.source, ensure_ascii=False)}"
        for key in ("image", "label"):
            if (value := getattr(data, key)) != Data.model_fields[key].default:
                yield f"    {key}: {json.dumps(value, ensure_ascii=False)}"
        if data.test is not None:
            yield f"    test: {data.test} # the data have no test part"
        if not any(part.role == "validation" for part in self.found.parts):
            yield "    validation: 0.1 # of the training images, for the decisions of the scheduler"
        if data.resize:
            side = data.resize.shape[0]
            yield f"    resize: {{ size: {side}, crop: {side} }} # shorter side, then a square of the middle"
        if data.convert is True:
            yield "    convert: true # some images lose something: transparency, print colours or 16 bits"

    def _recipe(self, images: int) -> Iterator[str]:
        task = self.found.task
        batch = 2 ** int(np.clip(np.log2(max(images, 1) / 8), 3, 7))
        epochs = int(np.clip(STEPS * batch // max(images, 1), *EPOCHS))
        padding = max(1, min(task.height, task.width) // 8)
        yield "  recipe:"
        yield f"    batch_size: {batch}"
        yield f"    learning_rate: {0.1 * batch / 128:.3g}"
        yield f"    warmup_epochs: {max(1, epochs // 20)}"
        yield f"    flip: {str(task.channels >= 3).lower()} # false where left and right matter, as in letters"
        yield f"    crop_padding: {padding}"
        yield f"  epochs: {epochs}"
        yield f"  scheduler: {{ name: asha, grace_period: {max(1, epochs // 3)} }} # epochs before a run can be stopped"


def new_experiment(
    source: str, space: str, image: str | None = None, label: str | None = None, name: str | None = None
) -> NewExperiment:
    """Return an experiment for a data set.

    Args:
        source: Folder, table, or name on the hub.
        space: Name of the search space.
        image: Column of the images of a table, if it is known.
        label: Column of its classes, if it is known.
        name: Name of the run; that of the data if not given.

    Raises:
        UserError: There is no such space, or the data cannot be read.
    """
    if space not in spaces.SPACES.names():
        raise UserError(
            f"--space: there is no space named {space!r}.{suggestion(space, spaces.SPACES.names())} "
            f"Known: {', '.join(spaces.SPACES.names())}. For a space of your own, write `space: ./FILE.py` into the "
            "file that this command writes."
        )
    data, found = propose(source, image, label)
    stem = Path(data.source).name.removesuffix(".parquet").removesuffix(".csv").removesuffix(".tsv")
    words = re.sub(r"[^A-Za-z0-9._]+", "-", name or stem).strip("-._")[:80]
    return NewExperiment(words or "experiment", space, data, found)


def _budget(task: Task) -> tuple[int, int, int]:
    side = max(task.height, task.width)
    return next(budget[1:] for budget in BUDGETS if side <= budget[0])


def _described(task: Task) -> str:
    return f"{task.channels} channel{'' if task.channels == 1 else 's'}, {task.height} x {task.width} pixels"


def _medians(name: str, task: Task) -> dict[str, float]:
    """Return the median costs of a sample of the space."""
    space, generator = spaces.load(name), numpy_generator(0, "init")
    scoring = Scoring(space, task, list(BOUNDED), noise_batch(task, 2, 0), 0)
    found = [scores.values for _ in range(SAMPLE) if (scores := scoring.score(space.sample(generator))).values]
    return {score: float(np.median([values[score] for values in found])) for score in BOUNDED} if found else {}
