"""Worker of a study: a Tune trial trains one part from its checkpoint to its end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from ray import tune

from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.cluster.workers import show
from zenfront.pipeline.device import resolve
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.copies.checkpoints import CheckpointCopies
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
        checkpoints: Folder with a folder for each part.
    """

    plan: StudyPlan
    images: Images
    checkpoints: CheckpointCopies

    def rows(self, part: Part, note: Callable[[str], None]) -> Iterator[SupernetStep]:
        """Yield the rows of a part: those of its checkpoint, then new ones.

        Args:
            part: The part.
            note: Shows a line to the user.
        """
        plan, experiment, name = self.plan, self.plan.experiment, part.name
        course = plan.course(part)
        _pass_on(self.checkpoints.fetch(name), name, note)
        supernet = Supernet(plan.space, experiment.task, plan.members(part), course.setting.norm, course.setting.share)
        checkpoint = self.checkpoints.folder / name
        device = torch.device(resolve(experiment.resources.device))
        kept: Path | None = None
        for row in train_supernet(supernet, self.images, course, device=device, checkpoint=checkpoint):
            if (newest := max(checkpoint.glob("*.pt"), default=None)) != kept:
                kept = newest
                _pass_on(self.checkpoints.keep(name), name, note)
            yield replace(row, part=name)


def _pass_on(text: str | None, name: str, note: Callable[[str], None]) -> None:
    if text:
        note(f"{name}: {text}")


class SupernetWorker(tune.Trainable):  # type: ignore[misc]
    """Tune trainable that trains to the next evaluated step.

    A step reports ``rows``, an ``error`` or a ``failure``, and ``notes`` for the user.

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
        self.notes: list[str] = []
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
        recorded = 0
        if self.rows is None:
            recorded = self.job["recorded"]
            part = Part(self.job["setting"], self.job["instance"], self.job["group"])
            self.rows = self.training.rows(part, self.notes.append)
        with time_limit(self.training.plan.experiment.train.time_limit):
            row = next(islice(self.rows, recorded, None))
        notes, self.notes[:] = list(self.notes), []
        return {"rows": [row.to_row()], "notes": notes}
