"""Labels of the picks in figures of a trained front: above all points, and none over another."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from zenfront.pipeline.results.trained_networks import TrainedFront, TrainedNetwork

LABEL = 0.08
"""Height of the label of a pick, as a share of the range of the metric."""


class Label(NamedTuple):
    """Label of a picked network; `height` is its place on the axis of the metric."""

    network: TrainedNetwork
    words: str
    side: Literal["left", "right"]
    height: float


def picks_at(front: TrainedFront) -> list[tuple[TrainedNetwork, str]]:
    """Return the picked networks, the cheapest first, each with all its names in words."""
    picked = {pick.architecture: front.by_id[pick.architecture] for pick in front.picks}
    ordered = sorted(picked.items(), key=lambda each: position(each[1], front))
    return [(network, ", ".join(map(front.pick_words, front.picks_of(name)))) for name, network in ordered]


def labels(front: TrainedFront, drawn: Sequence[TrainedNetwork]) -> list[Label]:
    """Return the labels of the picks, one below the other, each written towards the middle of the figure.

    Args:
        front: The front.
        drawn: All networks of the figure, with accuracies.
    """
    low, high = _range(front, drawn)
    places = [position(network, front) for network in drawn]
    middle = (min(places) + max(places)) / 2
    left = [pick for pick in picks_at(front) if position(pick[0], front) <= middle]
    ordered = [*left, *reversed(picks_at(front)[len(left) :])]  # a line down from a label meets no other label
    heights = [high + LABEL * (high - low) * (len(ordered) - index) for index in range(len(ordered))]
    return [
        Label(network, words, "left" if index < len(left) else "right", height)
        for index, ((network, words), height) in enumerate(zip(ordered, heights, strict=True))
    ]


def _range(front: TrainedFront, drawn: Sequence[TrainedNetwork]) -> tuple[float, float]:
    """Return the least and the greatest end of an error bar on the axis: of accuracies, a point apart or more."""
    scale = front.metric.scale
    bars = [(scale * (n.accuracy or 0.0), scale * (n.error or 0.0)) for n in drawn]
    low, high = min(a - e for a, e in bars), max(a + e for a, e in bars)
    least = 1.0 if front.metric.is_accuracy else abs(high) / 100 or 1.0
    return low, max(high, low + least)


def limits(front: TrainedFront, drawn: Sequence[TrainedNetwork]) -> tuple[float, float]:
    """Return the ends of the axis of the metric: there is room for the labels above the points."""
    low, high = _range(front, drawn)
    return low - LABEL * (high - low), high + LABEL * (high - low) * (len(picks_at(front)) + 1)


def height_of(network: TrainedNetwork, front: TrainedFront) -> float:
    """Return the place of a network on the axis of the metric."""
    return front.metric.scale * (network.accuracy or 0.0)


def position(network: TrainedNetwork, front: TrainedFront) -> float:
    """Return the place of an annotation, for which Plotly wants the logarithm on a logarithmic axis."""
    cost = network.costs[front.costs[0]]
    return math.log10(cost) if logarithmic(front) else cost


def logarithmic(front: TrainedFront) -> bool:
    """Return whether the axis of the first cost is logarithmic."""
    return front.reference.axes[front.costs[0]].logarithmic
