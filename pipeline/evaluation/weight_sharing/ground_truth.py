"""Accuracies of the architectures of a supernet that were trained alone."""

from collections.abc import Container, Mapping, Sequence
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

    The deviation over runs comes from columns ``<accuracy>_seed<i>`` of single runs, or from ``<accuracy>_std``; of a
    column ``<accuracy>_mean`` too.

    Raises:
        UserError: The table cannot be read, or lacks architectures.
    """
    table = read_truth(path, space, column, columns)
    rows = {architecture: row for row, architecture in enumerate(table.architectures)}
    require_all(path, space, architectures, rows)
    chosen = [rows[architecture] for architecture in architectures]
    seeds = table.seeds[chosen]
    if seeds.shape[1] > 1 and (np.isfinite(seeds).sum(1) > 1).all():
        sd = np.asarray(np.nanstd(seeds, axis=1, ddof=1))
    else:
        scores, name = read_scores(path, space, columns), f"{table.source.removesuffix('_mean')}_std"
        sd = np.array([scores[architecture.id].get(name, np.nan) for architecture in architectures])
    return GroundTruth(table.accuracy[chosen], sd if np.isfinite(sd).all() else None, table.source)


def require_all(
    path: Path, space: Space, architectures: Sequence[Architecture], found: Container[Architecture], what: str = ""
) -> None:
    """Require that a table has every architecture.

    Args:
        path: Path of the table.
        space: The space.
        architectures: What is needed.
        found: Architectures of the table.
        what: What is missing, if not the architectures themselves.

    Raises:
        UserError: Some are missing; the first ones are named.
    """
    if missing := [space.notation(each) for each in architectures if each not in found]:
        named = ", ".join(missing[:SHOWN]) + (", ..." if missing[SHOWN:] else "")
        raise UserError(
            f"{path} lacks {what}{len(missing)} of {len(architectures)} architectures of the supernet: {named}."
        )
