"""The hypervolume of trained networks: accuracy from chance level to 1, costs on a logarithmic axis.

Another metric than an accuracy, as a value of which higher is better, takes the place of the accuracy.
"""

from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.pareto import REFERENCE, cost_axis, hypervolume, positive_columns


@dataclass(frozen=True)
class Box:
    """The region in which a hypervolume is measured: from the ideal corner to the reference point.

    On each axis of cost the reference point lies a tenth of the range beyond the costliest network, so that this
    network counts as well; where all costs are equal, it lies one unit of the axis beyond them.

    Attributes:
        chance: Accuracy at the reference point: that of guessing.
        cheapest: (c,), costs at the ideal corner.
        costs: (c,), costs at the reference point.
        logarithmic: (c,), whether the axis is logarithmic: it is, unless a cost is zero or negative.
        ideal: Accuracy at the ideal corner.
    """

    chance: float
    cheapest: tuple[float, ...]
    costs: tuple[float, ...]
    logarithmic: tuple[bool, ...]
    ideal: float = 1.0


def metric_range(values: np.ndarray) -> tuple[float, float]:
    """Return the reference and the ideal of a metric without a natural range, for a box around values (n >= 1,).

    The ideal is the best value. The reference lies a tenth of the range beyond the worst, or one unit below the ideal
    if all values are equal.

    Args:
        values: (n,), higher is better.
    """
    span = float(np.ptp(values))
    best = float(values.max())
    return best - (REFERENCE * span if span > 0 else 1.0), best


def box_around(costs: np.ndarray, chance: float, ideal: float = 1.0) -> Box:
    """Return the box of a hypervolume.

    Args:
        costs: (k >= 1, c), of all networks that were selected for training.
        chance: Accuracy of guessing in [0, 1), or the reference of another metric.
        ideal: Accuracy at the ideal corner, higher than `chance`.
    """
    logarithmic = positive_columns(costs)
    axis = cost_axis(costs, logarithmic)
    low, span = axis.min(0), np.ptp(axis, axis=0)
    beyond = low + np.where(span > 0, REFERENCE * span, 1.0)
    reference = np.where(logarithmic, np.exp(np.where(logarithmic, beyond, 0.0)), beyond)
    cheapest = costs.min(0)
    return Box(chance, tuple(map(float, cheapest)), tuple(map(float, reference)), tuple(map(bool, logarithmic)), ideal)


def hypervolume_in(box: Box, accuracy: np.ndarray, costs: np.ndarray) -> float:
    """Return the share of a box in [0, 1] that networks dominate; those outside add nothing or are cut at its sides.

    Args:
        box: The box.
        accuracy: (n,), at most `box.ideal`.
        costs: (n, c).
    """
    logarithmic = np.array(box.logarithmic, dtype=bool)
    low, high = (cost_axis(np.array([ends]), logarithmic)[0] for ends in (box.cheapest, box.costs))
    expense = np.maximum((cost_axis(costs, logarithmic) - low) / (high - low), 0.0)
    losses = np.column_stack([np.maximum((box.ideal - accuracy) / (box.ideal - box.chance), 0.0), expense])
    return hypervolume(losses, np.ones(losses.shape[1]))
