"""The front of trained networks: accuracy against cost, with the noise of the accuracy.

Another metric takes the place of the accuracy as a value of which higher is better, `Metric.sign` times the metric; its
noise is known from several seeds only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.analysis.accuracy_cost_box import Box, box_around, hypervolume_in
from zenfront.pipeline.pareto import cost_axis, dominance, front_indices, positive_columns, scaled_to_unit
from zenfront.pipeline.results.metric import ACCURACY, Metric
from zenfront.pipeline.wording import number, percent

Z = 1.96
"""Two accuracies differ by more than Z standard errors of their difference in one of twenty pairs of equals."""


@dataclass(frozen=True)
class Pick:
    """A network of the front that has a name.

    Attributes:
        name: ``most_accurate``, ``knee`` or ``cheapest_within_noise``.
        index: Index of the network.
        reason: Why it is the one, in words.
    """

    name: str
    index: int
    reason: str


@dataclass(frozen=True)
class TrainedFront:
    """The trained front of n networks; indices are those of the arrays that it was made from.

    Attributes:
        front: Indices of the networks that no other dominates by mean accuracy and costs, the cheapest by the first
            cost first.
        dominated_by: (n,), for each network the indices of all that dominate it.
        indistinct: Pairs (i, j), i < j, whose accuracies differ by no more than `Z` standard errors of the difference.
        hypervolume: Share of `box` that the front dominates, in [0, 1]; higher is better.
        box: The region in which the hypervolume is measured.
        picks: ``most_accurate``, ``knee`` and, if the noise is known, ``cheapest_within_noise``; one network may have
            several names.
    """

    front: tuple[int, ...]
    dominated_by: tuple[tuple[int, ...], ...]
    indistinct: tuple[tuple[int, int], ...]
    hypervolume: float
    box: Box
    picks: tuple[Pick, ...]


def mean_and_error(accuracy: np.ndarray, images: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean accuracy (n,) over the seeds and its standard error (n,).

    The error is the standard deviation over the seeds divided by the root of their number, or with one seed the
    binomial error of the test set, NaN if that is not known.

    Args:
        accuracy: (n, s), in [0, 1], NaN where there is no run; at least one of each row is finite.
        images: Number of test images; not necessarily whole, where classes count the same. None: it is not known, or
            the values are of another metric.
    """
    count = np.isfinite(accuracy).sum(1)
    mean = np.nanmean(accuracy, axis=1)
    squares = np.nansum((accuracy - mean[:, None]) ** 2, axis=1)
    over_seeds = np.sqrt(squares / np.maximum(count - 1, 1) / count)
    with_one = np.full(len(mean), np.nan) if images is None else np.sqrt(mean * (1 - mean) / images)
    return mean, np.where(count > 1, over_seeds, with_one)


def trained_front(
    accuracy: np.ndarray,
    error: np.ndarray,
    costs: np.ndarray,
    *,
    cost_names: Sequence[str],
    chance: float,
    selected_costs: np.ndarray | None = None,
    metric: Metric = ACCURACY,
    ideal: float = 1.0,
) -> TrainedFront:
    """Return the trained front.

    `cheapest_within_noise` is the member with the lowest first cost that the noise cannot tell from the most
    accurate. The `knee` is the member farthest above the straight line (plane) between the cheapest and the most
    accurate end, accuracy and the logarithms of the costs scaled to [0, 1] over the front (Das, 1999).

    Args:
        accuracy: (n >= 1,), mean test accuracy in [0, 1], or `Metric.sign` times another metric.
        error: (n,), standard error of the mean; NaN where it is not known.
        costs: (n, c >= 1), lower is better.
        cost_names: (c,), for the reasons of the picks.
        chance: Accuracy of guessing in [0, 1), or the reference of another metric (`metric_range`).
        selected_costs: (k >= n, c), costs of all networks that were selected for training, whose range is the box of
            the hypervolume; None: those of the trained ones.
        metric: What the values are of, for the reasons of the picks.
        ideal: Accuracy at the ideal corner of the box.
    """
    losses = np.column_stack([-accuracy, costs])
    front = front_indices(losses)
    front = front[np.lexsort((losses[front, 0], losses[front, 1]))]
    box = box_around(costs if selected_costs is None else selected_costs, chance, ideal)
    picks = (
        _most_accurate(front, accuracy, error, metric),
        _knee(front, accuracy, costs, cost_names[0], metric),
        _cheapest_within_noise(front, accuracy, error, costs[:, 0], cost_names[0], metric),
    )
    return TrainedFront(
        tuple(front.tolist()),
        tuple(tuple(np.flatnonzero(column).tolist()) for column in dominance(losses).T),
        tuple((int(i), int(j)) for i, j in np.argwhere(_within_noise(accuracy, error)) if i < j),
        hypervolume_in(box, accuracy, costs),
        box,
        tuple(filter(None, picks)),
    )


def _within_noise(accuracy: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return (n, n) bool: the noise cannot tell networks i and j apart. Noise that is not known tells all apart."""
    error = np.nan_to_num(error)
    apart = np.abs(accuracy[:, None] - accuracy[None, :])
    return np.asarray(apart <= Z * np.hypot(error[:, None], error[None, :]))


def _most_accurate(front: np.ndarray, accuracy: np.ndarray, error: np.ndarray, metric: Metric) -> Pick:
    best = front[accuracy[front].argmax()]
    near = int(_within_noise(accuracy, error)[best, front].sum()) - 1
    others = f"; the noise cannot tell {near} other of the front from it" if near else ""
    spread = f", standard error {metric.shown(float(error[best]))}" if np.isfinite(error[best]) else ""
    name = "accuracy" if metric.is_accuracy else metric.words
    value = metric.shown(metric.sign * float(accuracy[best]))
    reason = f"{'highest' if metric.sign > 0 else 'lowest'} mean {name}, {value}{spread}{others}"
    return Pick("most_accurate", int(best), reason)


def _knee(front: np.ndarray, accuracy: np.ndarray, costs: np.ndarray, name: str, metric: Metric) -> Pick:
    height = _height(accuracy[front], costs[front])
    knee = front[height.argmax()]
    line = "the line between the ends of the front"
    rule = f"farthest above {line}" if height.max() > 0 else f"nearest to {line}, which no network lies above"
    point = f"{metric.shown(metric.sign * float(accuracy[knee]))} at {number(float(costs[knee, 0]))} {name}"
    return Pick("knee", int(knee), f"{rule}: {point}")


def _height(accuracy: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Return how far networks of a front lie above the line between its ends, all axes scaled to [0, 1]."""
    expense = scaled_to_unit(cost_axis(costs, positive_columns(costs)))
    return np.asarray(np.round(scaled_to_unit(accuracy[:, None])[:, 0] - expense.mean(1), 12))


def _cheapest_within_noise(
    front: np.ndarray, accuracy: np.ndarray, error: np.ndarray, cost: np.ndarray, name: str, metric: Metric
) -> Pick | None:
    best = front[accuracy[front].argmax()]
    if np.isnan(error[best]):
        return None
    cheapest = front[_within_noise(accuracy, error)[best, front].argmax()]
    reason = f"none with lower {name} is within the noise of the {metric.best}"
    if cheapest != best:
        behind, spread = accuracy[best] - accuracy[cheapest], np.hypot(error[best], np.nan_to_num(error[cheapest]))
        gap = f"{metric.shown(float(behind))} ± {metric.shown(float(spread))}"
        at = f"{percent(cost[cheapest] / cost[best])} of its {name}" if cost.min() > 0 else f"less {name}"
        reason = f"lowest {name} within the noise of the {metric.best}: {gap} behind it, at {at}"
    return Pick("cheapest_within_noise", int(cheapest), reason)


def accuracy_at_cost(accuracy: np.ndarray, cost: np.ndarray, levels: Sequence[float]) -> list[float | None]:
    """Return the best accuracy at most at each cost level; None where no network is as cheap.

    Args:
        accuracy: (n,).
        cost: (n,).
        levels: Costs, for example the quartiles of those of the selected networks.
    """
    return [float(accuracy[cost <= level].max()) if (cost <= level).any() else None for level in levels]
