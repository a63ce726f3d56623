"""The instances of a study, made from the rows of its ledger."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zenfront.pipeline.results.supernet_rows import SupernetStep
from zenfront.pipeline.stages.supernet.plan import Part, StudyPlan
from zenfront.pipeline.training.data import Images

MEAN = "mean of last k"
LAST = "last step"
EACH = "each of last k"
NAMES = {"ema": "EMA", "swa": "SWA", "recalibrated": "recalibrated BN", "finetuned": "fine-tuned"}
"""Names of the kinds of weights in tables."""


@dataclass(frozen=True, eq=False)
class Instance:
    """One instance of one setting.

    Attributes:
        number: Number of the instance, from 0.
        steps: (t,), evaluated steps.
        accuracy: (t, n), of each architecture after each of these steps; what was dropped keeps its last accuracy less
            2 for each pruning from then on, so that it ranks below what remained.
        children: (t,), index of the architecture that took the last mini-batch; with several groups, of the first;
            empty if it is unknown.
        rankings: By name of the weights, (n,): what architectures are ranked by at the end.
        seconds: Duration of the training and of the evaluations; None if it is unknown.
    """

    number: int
    steps: np.ndarray
    accuracy: np.ndarray
    children: np.ndarray
    rankings: Mapping[str, np.ndarray]
    seconds: float | None


@dataclass(frozen=True, eq=False)
class Arm:
    """The instances of one setting.

    Attributes:
        name: Name of the setting.
        last: Number k of last steps, each of which was evaluated.
        instances: Those that are complete.
        failures: Reasons for which instances are missing, by number.
        unfinished: Number of instances that are not over.
    """

    name: str
    last: int
    instances: Sequence[Instance]
    failures: Mapping[int, str] = field(default_factory=dict)
    unfinished: int = 0

    def rankings(self) -> dict[str, np.ndarray]:
        """Return the rankings of all instances, (N, n), by name of the weights."""
        names = self.instances[0].rankings if self.instances else {}
        return {name: np.stack([each.rankings[name] for each in self.instances]) for name in names}


def assemble(plan: StudyPlan, images: Images, rows: Mapping[str, Sequence[SupernetStep]]) -> list[Arm]:
    """Return the settings with their complete instances.

    Args:
        plan: The study.
        images: Its data, which tell the number of steps.
        rows: Rows of each part, by its name.
    """
    arms = []
    for name, setting in plan.settings.items():
        found: list[Instance] = []
        failures: dict[int, str] = {}
        unfinished = 0
        for number in range(plan.config.instances):
            parts = [Part(name, number, group) for group in range(setting.groups)]
            of_parts = [list(rows.get(part.name, ())) for part in parts]
            last_key = plan.course(parts[0]).last_key(images)
            if failed := [row.failure for part in of_parts for row in part if row.failure]:
                failures[number] = failed[0]
            elif all(part and part[-1].key == last_key for part in of_parts):
                found.append(_join(number, of_parts, plan.groups(name, number), plan.config.last))
            else:
                unfinished += 1
        arms.append(Arm(name, plan.config.last, found, failures, unfinished))
    return arms


def _join(number: int, parts: Sequence[Sequence[SupernetStep]], groups: Sequence[Sequence[int]], last: int) -> Instance:
    """Join the groups of an instance, whose rows have the same steps and kinds."""
    n = sum(map(len, groups))
    shared = [[row for row in part if row.kind == "shared"] for part in parts]
    accuracy = np.empty((len(shared[0]), n))
    for rows, group in zip(shared, groups, strict=True):
        accuracy[:, group] = _filled([row.accuracy for row in rows])
    rankings = {LAST: accuracy[-1], MEAN: accuracy[-last:].mean(0)}
    final = [row.key for row in parts[0] if row.kind != "shared"]
    for step, kind in final:
        place = "" if step == shared[0][-1].step else f" after step {step}"
        values = np.empty(n)
        for part, group in zip(parts, groups, strict=True):
            values[list(group)] = next(
                _of_survivors(row, accuracy[-1, group]) for row in part if row.key == (step, kind)
            )
        rankings[NAMES[kind] + place] = values
    return Instance(
        number=number,
        steps=np.array([row.step for row in shared[0]]),
        accuracy=accuracy,
        children=np.array([groups[0][row.child] for row in shared[0]]),
        rankings=rankings,
        seconds=sum(row.seconds + row.evaluation_seconds for part in parts for row in part),
    )


def _filled(accuracies: Sequence[Sequence[float | None]]) -> np.ndarray:
    """Return accuracies (t, n) in which architectures that were dropped rank below those that were dropped later."""
    values = np.array(accuracies, dtype=np.float64)
    for before, row in itertools.pairwise(values):
        dropped = np.isnan(row)
        newly = dropped & (before >= 0)
        row[dropped] = before[dropped]
        if newly.any():
            row[dropped] -= 2
    return values


def _of_survivors(row: SupernetStep, otherwise: np.ndarray) -> np.ndarray:
    """Return the accuracies of a row, and the given values for architectures that were dropped before."""
    values = np.array(row.accuracy, dtype=np.float64)
    return np.where(np.isnan(values), otherwise, values)
