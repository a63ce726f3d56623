"""Weights that make samples of models comparable at equal complexity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.errors import UserError

MOST_BINS = 40
"""Most bins that are chosen automatically: those of the paper for samples of thousands."""
PER_BIN = 10
"""Models for each automatic bin, in the smallest sample."""


@dataclass(frozen=True, eq=False)
class Binning:
    """Bins of complexity that several samples share.

    Attributes:
        edges: Ascending edges (k + 1,) of the bins of each complexity.
        cells: (n,) for each sample: number of the cell of each model, a combination of one bin of each complexity;
            -1 for a model outside the limits, or in a cell that is left out.
        kept: Numbers of the cells that hold models of every sample.
        empty: Numbers of the cells that hold models of some samples only, and are left out.
        outside: Number of models outside the limits, for each sample.
    """

    edges: tuple[np.ndarray, ...]
    cells: tuple[np.ndarray, ...]
    kept: np.ndarray
    empty: np.ndarray
    outside: tuple[int, ...]

    def weights(self, sample: int, counts: np.ndarray | None = None) -> np.ndarray:
        """Return the weights (..., n) of the models of a sample: 1 / (k m_j) in cell j, which holds m_j of them.

        Args:
            sample: Position of the sample.
            counts: (..., n), how often each model occurs; None: once. A cell whose models do not occur has no weight,
                and the weights of the others grow, so that the sum stays 1; NaN if no cell has any.
        """
        cells = self.cells[sample]
        members = (cells[:, None] == self.kept).astype(np.float64)
        counts = np.ones(len(cells)) if counts is None else counts
        totals = counts @ members
        shares = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
        filled = (totals > 0).sum(-1, keepdims=True)
        each = np.divide(1.0, filled, out=np.full(filled.shape, np.nan), where=filled > 0)
        return np.asarray(counts * (shares @ members.T) * each)


def automatic_bins(samples: Sequence[np.ndarray]) -> int:
    """Return a number of bins for samples (n_i, c): 40 as in the paper, or fewer where they would hold few models."""
    smallest = min(len(sample) for sample in samples)
    per_axis = (smallest / PER_BIN) ** (1 / samples[0].shape[1])
    return max(1, min(MOST_BINS, int(per_axis)))


def shared_limits(samples: Sequence[np.ndarray], names: Sequence[str]) -> list[tuple[float, float]]:
    """Return the range of each complexity in which every sample has models: (largest minimum, smallest maximum).

    Args:
        samples: (n_i, c) complexities of each sample.
        names: Names of the complexities, for the message.

    Raises:
        UserError: The ranges of two samples do not overlap.
    """
    limits = []
    for column, name in enumerate(names):
        ranges = [(sample[:, column].min(), sample[:, column].max()) for sample in samples]
        low, high = max(low for low, _ in ranges), min(high for _, high in ranges)
        if low > high:
            shown = ", ".join(f"{low:,.6g} to {high:,.6g}" for low, high in ranges)
            raise UserError(
                f"the samples do not overlap in {name}: their ranges are {shown}. "
                "Compare them without normalisation (--complexity none), or by another complexity."
            )
        limits.append((float(low), float(high)))
    return limits


def share_bins(samples: Sequence[np.ndarray], bins: int, limits: Sequence[tuple[float, float]]) -> Binning:
    """Divide the range of each complexity into bins of equal width, and assign the models.

    Args:
        samples: (n_i, c) complexities of each sample.
        bins: Number k of bins of each complexity.
        limits: Range of each complexity; models outside are left out.

    Raises:
        UserError: No cell holds models of every sample.

    Source: Radosavovic et al., ICCV 2019, sec. 3.3; the notebooks demand that no bin is empty, here an empty one is
        left out of all samples.
    """
    edges = tuple(np.linspace(low, high, bins + 1) for low, high in limits)
    numbered = [_cell_numbers(sample, edges, bins) for sample in samples]
    found = [set(cells[cells >= 0].tolist()) for cells in numbered]
    kept = np.array(sorted(set.intersection(*found)), dtype=int)
    if not len(kept):
        raise UserError(
            f"none of {bins} bins of complexity holds models of every sample. "
            "Take fewer bins (--bins), or larger samples."
        )
    empty = np.array(sorted(set.union(*found) - set(kept.tolist())), dtype=int)
    outside = tuple(int((cells < 0).sum()) for cells in numbered)
    cells = tuple(np.where(np.isin(cells, kept), cells, -1) for cells in numbered)
    return Binning(edges, cells, kept, empty, outside)


def _cell_numbers(sample: np.ndarray, edges: Sequence[np.ndarray], bins: int) -> np.ndarray:
    """Return the cell (n,) of each model; -1 outside. The last bin includes its upper edge, as in `numpy.histogram`."""
    cells, inside = np.zeros(len(sample), dtype=int), np.ones(len(sample), dtype=bool)
    for column, edge in zip(sample.T, edges, strict=True):
        inside &= (column >= edge[0]) & (column <= edge[-1])
        cells = cells * bins + np.clip(np.searchsorted(edge, column, side="right") - 1, 0, bins - 1)
    return np.where(inside, cells, -1)
