"""Driver of a study on Ray, to which all hooks of Ray Tune lead."""

from collections import Counter
from dataclasses import replace
from typing import Any

from ray.tune.search import Searcher

from zenfront.pipeline.cluster.starts import WorkerStarts
from zenfront.pipeline.cluster.tuner import NotPickled
from zenfront.pipeline.errors import UserError, passing_errors_to
from zenfront.pipeline.progress import TrialProgress, View
from zenfront.pipeline.results.supernet_rows import SupernetStep
from zenfront.pipeline.stages.supernet.runs import SupernetRuns

RETRIES = 3
"""Retries of a part without a new row in between."""

Config = dict[str, Any]


class SupernetDriver(NotPickled):
    """Connects parts, record and view. A Tune trial is a part, from its checkpoint to its end.

    Attributes:
        runs: The parts and what is recorded of them.
        error: Error that ends the study, raised after Tune has ended because Tune would swallow it.
        starts: Counts workers that do not start.
    """

    def __init__(self, runs: SupernetRuns, view: View) -> None:
        self.runs = runs
        self.error: Exception | None = None
        self.starts = WorkerStarts(self)
        self._view = view
        self._failures: Counter[tuple[str, int]] = Counter()
        self._reasons: dict[str, str] = {}
        self._said: set[str] = set()
        self._shown: dict[str, TrialProgress] = {}

    def suggest(self) -> Config | str | None:
        """Return the next part, None while there is nothing to do, or FINISHED at the end."""
        if self.error or self.runs.complete:
            return str(Searcher.FINISHED)
        part = self.runs.take()
        if part is None:
            return None
        self.show()
        place = {"setting": part.setting, "instance": part.instance, "group": part.group}
        return {"name": part.name, "recorded": self.runs.recorded(part.name), **place}

    def receive(self, config: Config, result: dict[str, Any]) -> bool:
        """Process the result of a step; return whether the part is done."""
        self.starts.any_started = True
        if "failure" in result:
            self._reasons[config["name"]] = result["failure"]
            return False  # its next step ends the worker, and leads to `failed`
        if "error" in result:
            self.error = UserError(result["error"])
        for note in result.get("notes", ()):
            if note not in self._said:
                self._said.add(note)
                self._view.notify(note)
        with passing_errors_to(self._fail):
            for row in result.get("rows", ()):
                self.runs.receive(SupernetStep.from_row(row))
        self.show()
        return self.error is not None or self.runs.over(config["name"])

    def failed(self, config: Config, with_its_machine: bool = False) -> None:
        """Hand out the part of a worker that died or raised again, unless it failed too often at the same row."""
        name = config["name"]
        reason = self._reasons.pop(name, "its worker died (out of memory, or a crash in native code)")
        at = name, self.runs.recorded(name)
        self._failures[at] += not with_its_machine
        if with_its_machine or self._failures[at] <= RETRIES:
            self._view.notify(f"{name}: {reason}; going on from its checkpoint")
        else:
            with passing_errors_to(self._fail):
                self.runs.fail(name, reason)
        self.show()

    def waiting(self, what: str) -> None:
        """Take note of what is waited for until a part changes its state."""
        self._view.waiting(what)

    def notify(self, text: str) -> None:
        """Show a line to the user."""
        self._view.notify(text)

    def released(self, config: Config) -> None:
        """Take back the part, which has left its worker."""
        self.runs.release(config["name"])
        self.show()

    def show(self) -> None:
        """Show the parts whose state has changed, and the time left."""
        left = self.runs.seconds_left
        for progress in map(self.runs.progress, self.runs.rows):
            if self._shown.get(progress.trial) != progress:
                self._shown[progress.trial] = progress
                self._view.trial(replace(progress, seconds_left=left))

    def _fail(self, error: Exception) -> None:
        """Keep an error to raise it when Tune has ended; raised now it would be a line in Tune's log."""
        self.error = error
