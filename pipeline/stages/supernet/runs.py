"""State of the trainings of a study: what is recorded and what is next. It does not use Ray."""

from collections.abc import Mapping

import numpy as np

from zenfront.pipeline.progress import TrialProgress, TrialState
from zenfront.pipeline.record.changes import WORKER_FAILED
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.results.supernet_rows import SupernetStep
from zenfront.pipeline.stages.supernet.plan import Part, StudyPlan
from zenfront.pipeline.training.data import Images


class SupernetRuns:
    """Hand out the parts of a study and record their rows; a row that is recorded is not recorded again.

    A worker that goes on from a checkpoint yields rows that are known, which is how an interrupted study goes on.

    Args:
        plan: The study.
        images: Data, which tell the number of steps.
        ledger: Ledger of `SupernetStep`.
    """

    def __init__(self, plan: StudyPlan, images: Images, ledger: Ledger) -> None:
        self._ledger = ledger
        self._parts = {part.name: part for part in plan.parts}
        self._courses = {name: plan.course(part) for name, part in self._parts.items()}
        self._last_keys = {name: course.last_key(images) for name, course in self._courses.items()}
        self._epoch_steps = {name: course.steps(images) for name, course in self._courses.items()}
        self._expected = {name: course.rows(images) for name, course in self._courses.items()}
        self._rows: dict[str, dict[tuple[int, str], SupernetStep]] = {name: {} for name in self._parts}
        self._sizes = {
            name: len(plan.architectures) // plan.settings[p.setting].groups for name, p in self._parts.items()
        }
        self._busy: set[str] = set()
        for row in ledger.values(SupernetStep.from_row):
            if row.part in self._rows:
                self._rows[row.part][row.key] = row

    @property
    def rows(self) -> Mapping[str, list[SupernetStep]]:
        """Rows of each part, in the order of the training."""
        return {name: list(rows.values()) for name, rows in self._rows.items()}

    @property
    def complete(self) -> bool:
        """Whether every part is over."""
        return all(self.over(name) for name in self._parts)

    def over(self, name: str) -> bool:
        """Return whether a part has its last row, or a failure."""
        rows = self._rows[name]
        return self._last_keys[name] in rows or any(row.failure for row in rows.values())

    def take(self) -> Part | None:
        """Return the next part to train, or None if there is none at present."""
        free = (part for name, part in self._parts.items() if name not in self._busy and not self.over(name))
        part = next(free, None)
        if part:
            self._busy.add(part.name)
        return part

    def release(self, name: str) -> None:
        """Mark a part as free: no worker is busy with it."""
        self._busy.discard(name)

    def recorded(self, name: str) -> int:
        """Return the number of rows of a part."""
        return len(self._rows[name])

    def receive(self, row: SupernetStep) -> None:
        """Record a row, unless it is recorded already.

        Raises:
            UserError: The record cannot be written.
        """
        rows = self._rows[row.part]
        if row.key in rows or self.over(row.part):
            return
        self._ledger.append([row.to_row()])
        rows[row.key] = row

    def fail(self, name: str, reason: str) -> None:
        """Record that the workers of a part failed too often."""
        rows = list(self._rows[name].values())
        step = rows[-1].step + 1 if rows else 1
        ended = SupernetStep(step, "shared", 0, (), None, 0.0, 0.0, 0.0, WORKER_FAILED + reason, name)
        self.receive(ended)

    def progress(self, name: str) -> TrialProgress:
        """Return the state of a part: its mean accuracy over the architectures, and the time left of the study."""
        rows = list(self._rows[name].values())
        last = rows[-1] if rows else None
        scored = [row for row in rows if any(value is not None for value in row.accuracy)]
        values = [value for value in scored[-1].accuracy if value is not None] if scored else []
        return TrialProgress(
            name,
            self._state(name, last),
            (last.step if last else 0) // self._epoch_steps[name],
            self._courses[name].epochs,
            float(np.mean(values)) if values else None,
            (last.failure if last else None) or "",
        )

    def _state(self, name: str, last: SupernetStep | None) -> TrialState:
        if last and last.failure:
            return "failed" if last.failure.startswith(WORKER_FAILED) else "diverged"
        if self.over(name):
            return "finished"
        return "running" if name in self._busy else "waiting"

    @property
    def seconds_left(self) -> float | None:
        """Return the time to the end if as many parts are trained at once as now; None before the first row.

        A step and the evaluation of an architecture take as long as they did on average in all recorded rows.
        """
        rows = [row for rows in self._rows.values() for row in rows.values()]
        evaluated = sum(len(row.accuracy) for row in rows)
        steps = sum(self._step(name) for name in self._parts)
        if not evaluated:
            return None
        each_step = sum(row.seconds for row in rows) / max(steps, 1)
        each_evaluation = sum(row.evaluation_seconds for row in rows) / evaluated
        left = 0.0
        for name, rows_of in self._rows.items():
            if not self.over(name):
                left += (self._last_keys[name][0] - self._step(name)) * each_step
                left += max(0, self._expected[name] - len(rows_of)) * self._sizes[name] * each_evaluation
        return left / max(len(self._busy), 1)

    def _step(self, name: str) -> int:
        """Return the last recorded step of a part."""
        return max((step for step, _ in self._rows[name]), default=0)
