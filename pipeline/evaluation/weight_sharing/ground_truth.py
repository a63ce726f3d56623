"""Accuracies of the architectures of a supernet that were trained alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.truth_table import UNCHANGED, read_scores, read_truth
from zenfront.spaces import Architecture, Space

SHOWN = 5
"""Architectures without an accuracy that a message names."""


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Accuracies of the architectures trained alone.

    Attributes:
        accuracy: (n,).
        sd: (n,), standard deviation over runs; None if it is unknown.
        source: Column that they are from.
    """

    accuracy: np.ndarray
    sd: np.ndarray | None
    source: str


def read_ground_truth(
    path: Path,
    space: Space,
    architectures: Sequence[Architecture],
    column: str | None = None,
    columns: Mapping[str, str] = UNCHANGED,
) -> GroundTruth:
    """Read the accuracies from a table, as `zenfront correlate` does.

    The deviation over runs comes from columns ``<accuracy>_seed<i>`` of single runs, or from ``<accuracy>_std``.

    Raises:
        UserError: The table cannot be read, or lacks architectures.
    """
    table = read_truth(path, space, column, columns)
    rows = {architecture: row for row, architecture in enumerate(table.architectures)}
    if missing := [space.notation(each) for each in architectures if each not in rows]:
        named = ", ".join(missing[:SHOWN]) + (", ..." if missing[SHOWN:] else "")
        raise UserError(f"{path} lacks {len(missing)} of {len(architectures)} architectures of the supernet: {named}.")
    chosen = [rows[architecture] for architecture in architectures]
    return GroundTruth(
        table.accuracy[chosen], _sd(path, space, architectures, table.seeds[chosen], table.source), table.source
    )


def _sd(
    path: Path, space: Space, architectures: Sequence[Architecture], seeds: np.ndarray, source: str
) -> np.ndarray | None:
    """Return the standard deviation over runs of each architecture, or None."""
    if seeds.shape[1] > 1 and (np.isfinite(seeds).sum(1) > 1).all():
        return np.asarray(np.nanstd(seeds, axis=1, ddof=1))
    scores = read_scores(path, space)
    found = [scores[architecture.id].get(f"{source}_std", np.nan) for architecture in architectures]
    return np.array(found) if np.isfinite(found).all() else None
