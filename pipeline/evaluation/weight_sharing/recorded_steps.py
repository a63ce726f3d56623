"""Accuracies under shared weights that others have recorded: a column of a table for each step of a supernet."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.truth_table import UNCHANGED, read_scores
from zenfront.pipeline.evaluation.weight_sharing.ground_truth import require_all
from zenfront.pipeline.evaluation.weight_sharing.instances import LAST, MEAN, Arm, Instance
from zenfront.spaces import Architecture, Space


def read_steps(
    path: Path,
    space: Space,
    architectures: Sequence[Architecture],
    prefix: str,
    last: int,
    columns: Mapping[str, str] = UNCHANGED,
) -> Arm:
    """Read the steps of one supernet that was trained elsewhere, as a setting with one instance.

    Args:
        path: Path of the table, with one row per architecture as for `read_ground_truth`.
        space: Space of the architectures.
        architectures: The architectures that share weights.
        prefix: Beginning of the names of the columns; the number of the step follows.
        last: Number k of last steps.
        columns: Columns of the table, by the names that they have here.

    Raises:
        UserError: The table cannot be read; it has no such columns, fewer than `last`, or lacks values.
    """
    rows = read_scores(path, space, columns)
    named = re.compile(re.escape(prefix) + r"(\d+)")
    steps = {int(found[1]): name for row in rows.values() for name in row if (found := named.fullmatch(name))}
    if not steps:
        raise UserError(f"--steps: {path} has no column of numbers whose name is {prefix!r} and the number of a step.")
    if last > len(steps):
        raise UserError(
            f"supernet.last: `last <= steps` must hold, but got (last={last}, steps={len(steps)}): {path} has "
            f"{len(steps)} columns {prefix}<step>."
        )
    for name in steps.values():
        having = {each for each in architectures if name in rows.get(each.id, {})}
        require_all(path, space, architectures, having, f"{name} of ")
    order = sorted(steps)
    accuracy = np.array([[rows[each.id][steps[step]] for each in architectures] for step in order])
    rankings = {LAST: accuracy[-1], MEAN: accuracy[-last:].mean(0)}
    instance = Instance(0, np.array(order), accuracy, np.empty(0, dtype=np.int64), rankings, None)
    return Arm(prefix.strip("_-. ") or "steps", last, [instance])
