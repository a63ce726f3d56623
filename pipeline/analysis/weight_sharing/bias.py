"""Bias of a ranking: towards large, costly or deep architectures, and towards operations."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from zenfront.pipeline.analysis.weight_sharing.agreement import gt_tau


@dataclass(frozen=True)
class PropertyBias:
    """Agreement of a ranking with a property of the architectures, such as the number of parameters.

    Attributes:
        ranking: τ-b of the ranking with the property; None if one of them is constant.
        truth: τ-b of the ground truth with the property.
        error: τ-b of the rank error with the property. Above 0: what has much of it is ranked too high.
    """

    ranking: float | None
    truth: float | None
    error: float | None


def rank_error(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return by how many places each architecture is ranked too high, (n,); negative: too low."""
    return np.asarray(rankdata(values) - rankdata(truth))


def property_bias(values: np.ndarray, truth: np.ndarray, amount: np.ndarray) -> PropertyBias:
    """Return the bias of a ranking towards a property.

    Args:
        values: (n,), higher is better.
        truth: (n,), higher is better.
        amount: (n,), the property of each architecture.
    """
    taus = gt_tau(np.stack([values, truth, rank_error(values, truth)]), amount)
    return PropertyBias(*(float(tau) if np.isfinite(tau) else None for tau in taus))


@dataclass(frozen=True)
class OperationShare:
    """Share of an operation among all chosen operations, in [0, 1].

    Attributes:
        ranked: Among the best by the ranking.
        truth: Among the best by the ground truth.
        everywhere: Among all architectures.
    """

    ranked: float
    truth: float
    everywhere: float


def operation_shares(
    values: np.ndarray, truth: np.ndarray, counts: Mapping[str, np.ndarray], best: int
) -> dict[str, OperationShare]:
    """Return how often each operation is chosen among the best by a ranking, by the truth, and everywhere.

    Args:
        values: (n,), higher is better.
        truth: (n,), higher is better.
        counts: By operation, (n,), on how many edges of each architecture it is chosen.
        best: Number of architectures that are the best; equal values are taken in the given order.
    """
    rows = (np.argsort(-values, kind="stable")[:best], np.argsort(-truth, kind="stable")[:best], slice(None))
    shares = {name: [float(count[part].sum()) for part in rows] for name, count in counts.items()}
    totals = [sum(share[part] for share in shares.values()) or 1.0 for part in range(len(rows))]
    return {
        name: OperationShare(*(count / total for count, total in zip(share, totals, strict=True)))
        for name, share in shares.items()
    }
