"""Export of a search as an Optuna study: a journal file that optuna-dashboard and `optuna.load_study` open."""

import warnings
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from zenfront import spaces
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.whole_file import write_whole
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.stage_rows import Generation, Scores
from zenfront.spaces import Space


class _Memory(BaseJournalBackend):
    """Journal in memory, because a journal file is synchronised with the disk after every trial."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += logs


def save_study(path: Path, record: RunRecord) -> None:
    """Write the study of a run, whole or not at all; its best trials are the front.

    A trial is an architecture, in the order of the ledger: COMPLETE with the objectives as values; PRUNED if a cost
    violated a constraint before they were computed; FAIL with the reason as attribute. Its parameters are the genes,
    its attributes id, notation and all scores, its constraints the violations, 0 if there is none.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    experiment, memory = record.experiment, _Memory()
    study = optuna.create_study(
        storage=JournalStorage(memory),
        study_name=experiment.name,
        directions=[objective.study_direction for objective in experiment.objectives],
    )
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        study.set_metric_names([objective.score for objective in experiment.objectives])
    study.add_trials(_trials(experiment, record.scores(), record.generations))
    with write_whole(path) as aside:
        JournalFileBackend(str(aside)).append_logs(memory.logs)


def _trials(
    experiment: Experiment, scored: Sequence[Scores], generations: Sequence[Generation]
) -> Iterable[FrozenTrial]:
    space = spaces.load(experiment.space, experiment.code)
    ends = [row.evaluations for row in generations]
    for position, scores in enumerate(scored):
        trial = _trial(experiment, space, scores)
        if ends:  # only the time of the generation is recorded
            told = datetime.fromtimestamp(generations[min(bisect_right(ends, position), len(ends) - 1)].time)
            trial.datetime_start = told - timedelta(seconds=sum(scores.seconds.values()))
            trial.datetime_complete = told
        yield trial


def _trial(experiment: Experiment, space: Space, scores: Scores) -> FrozenTrial:
    architecture = scores.architecture
    values = [scores.values[o.score] for o in experiment.objectives if o.score in scores.values]
    complete = len(values) == len(experiment.objectives)
    state = TrialState.FAIL if scores.failure else TrialState.COMPLETE if complete else TrialState.PRUNED
    attributes = {"id": architecture.id, "notation": space.notation(architecture), **scores.values}
    return create_trial(
        state=state,
        values=values if complete else None,
        params=dict(architecture.genes),
        distributions=dict(space.distributions),
        user_attrs=attributes | ({"failure": scores.failure} if scores.failure else {}),
        constraints={
            str(c): c.excess(scores.values[c.score]) for c in experiment.constraints if c.score in scores.values
        },
    )
