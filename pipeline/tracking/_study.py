"""Evaluation of scores or of selection rules as an MLflow run of its own."""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.tracking._entries import Entry, Point
from zenfront.pipeline.tracking._limits import flat
from zenfront.pipeline.tracking._mirror import trouble
from zenfront.pipeline.tracking._store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyPart:
    """A part of a study with a run of its own, a child of that of the study.

    Attributes:
        name: Name, unique in the study.
        params: Params by name.
        metrics: Metrics by name.
        curves: By name of a metric, (step, value).
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[int, float]]]

    def entry(self, time: float) -> Entry:
        """Return the run of the part; a curve that is new in a later call follows those that were there."""
        points = [Point(name, value, time, step) for name, curve in self.curves.items() for step, value in curve]
        return Entry(self.name, self.name, time, time, "FINISHED", flat(self.params), self.metrics, points)


def log_study(
    experiment: Experiment,
    folder: RunFolder,
    kind: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float | None],
    parts: Sequence[StudyPart] = (),
) -> None:
    """Send a study to the store of its experiment; the same folder goes to the same MLflow run.

    If the store does not answer, a warning is logged; the files of the study exist anyway.

    Args:
        experiment: Experiment that names the store.
        folder: Run folder; the files of ``report/`` whose names begin with the kind become artifacts.
        kind: ``correlation``, ``regret``, ``edf`` or ``supernet``.
        params: Params by name.
        metrics: Metrics by name; None is left out.
        parts: Parts that have runs of their own.
    """
    now = time.time()
    files = sorted(folder.report.glob(f"{kind}.*"))
    entry = Entry(
        key="",
        name=f"{experiment.name}: {kind}",
        start=now,
        end=now,
        status="FINISHED",
        params=flat(params),
        metrics={name: value for name, value in metrics.items() if value is not None},
        tags={"zenfront.study": kind, "zenfront.folder": str(folder.path.resolve())},
        files=tuple(files),
    )
    identity = f"{kind}-" + hashlib.sha256(str(folder.path.resolve()).encode()).hexdigest()[:16]
    try:
        store = Store(experiment, folder.path.parent, identity)
        for each in (entry, *(part.entry(now) for part in parts)):
            store.send(each)
    except Exception as error:  # tracking never stops the work, whatever happens to it
        logger.warning("%s", trouble(folder, experiment, error))
