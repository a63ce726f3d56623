"""Worker of a study: a Tune trial trains one part from its checkpoint to its end."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ray import tune

from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.cluster.workers import show
from zenfront.pipeline.device import resolve
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.results.supernet_rows import SupernetStep
from zenfront.pipeline.stages.supernet.plan import Part, StudyPlan
from zenfront.pipeline.supernet.supernet import Supernet
from zenfront.pipeline.supernet.training import train_supernet
from zenfront.pipeline.training.data import Images


@dataclass(frozen=True)
class SupernetTraining:
    """Settings and data of all parts; sent to every worker once.

    Attributes:
        plan: The study.
        images: Data of the experiment.
        checkpoints: Absolute path of the folder with a folder for each part, which all workers share.
    """

    plan: StudyPlan
    images: Images
    checkpoints: Path

    def rows(self, part: Part) -> Iterator[SupernetStep]:
        """Yield the rows of a part: those of its checkpoint, then new ones."""
        plan, experiment = self.plan, self.plan.experiment
        course = plan.course(part)
        supernet = Supernet(plan.space, experiment.task, plan.members(part), course.setting.norm, course.setting.share)
        rows = train_supernet(
            supernet,
            self.images,
            course,
            device=torch.device(resolve(experiment.resources.device)),
            checkpoint=self.checkpoints / part.name,
        )
        return (replace(row, part=part.name) for row in rows)


class SupernetWorker(tune.Trainable):  # type: ignore[misc]
    """Tune trainable that trains to the next evaluated step. A step reports ``rows``, an ``error`` or a ``failure``.

    Configuration: ``setting``, ``instance`` and ``group`` of the part, ``name``, and the number of ``recorded`` rows.
    An ``error`` is one that the user can correct. After a ``failure``, the state of this process cannot be trusted: it
    ends itself in the next step.
    """

    def setup(self, config: dict[str, Any], training: SupernetTraining, threads: int) -> None:
        """Set the constants of the study and the first part."""
        torch.set_num_threads(threads)
        self.training = training
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Set the next part on the same process."""
        self.job = new_config
        self.rows: Iterator[SupernetStep] | None = None  # frees the memory of the last one
        self.failure: Exception | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Train to the next row that is not recorded."""
        show(f"SupernetWorker: {self.job['name']}")
        if self.failure:
            raise self.failure
        try:
            return self._next_row()
        except UserError as error:
            return {"error": str(error)}
        except Exception as error:  # as text: Tune reports an exception as a pickle alone
            self.failure = error
            return {"failure": f"{type(error).__name__}: {' '.join(str(error).split())}"}

    def _next_row(self) -> dict[str, Any]:
        new = self.rows is None
        if self.rows is None:
            part = Part(self.job["setting"], self.job["instance"], self.job["group"])
            self.rows = self.training.rows(part)
        with time_limit(self.training.plan.experiment.train.time_limit):
            for _ in range(self.job["recorded"] if new else 0):
                next(self.rows)
            return {"rows": [next(self.rows).to_row()]}
