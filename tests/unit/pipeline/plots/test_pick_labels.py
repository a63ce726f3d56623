"""Labels of picks: above all points, in the figure, and none over another, wherever the picks are."""

import pytest

from zenfront.pipeline.plots.pick_labels import labels, limits
from zenfront.pipeline.results.trained_networks import (
    CostAxis,
    Pick,
    PickName,
    Reference,
    TrainedFront,
    TrainedNetwork,
)

NAMES: tuple[PickName, ...] = ("most_accurate", "knee", "cheapest_within_noise")


def front_of(costs: list[float]) -> TrainedFront:
    """A front whose networks are all on it and picked, the costliest as the most accurate."""
    networks = tuple(
        TrainedNetwork(str(i), f"w={i}", {"flops": cost}, 0.9 + 0.01 * i, 0.004, 1, "finished", 9, on_front=True)
        for i, cost in enumerate(costs)
    )
    named = zip(NAMES, reversed(networks), strict=False)
    picks = tuple(Pick(name, network.architecture, "a test") for name, network in named)
    axis = CostAxis(min(costs), 2 * max(costs), True)
    return TrainedFront(("accuracy", "flops"), networks, 0.5, Reference(0.1, {"flops": axis}), picks)


@pytest.mark.parametrize("costs", [[8e4, 9e4, 1e7], [8e4, 9.9e6, 1e7], [1e5, 1.01e5, 1.02e5], [1e5, 1e6, 1e7], [1e5]])
def test_no_label_covers_a_point_or_another_label(costs: list[float]) -> None:
    front = front_of(costs)
    found = labels(front, front.networks)
    low, high = limits(front, front.networks)
    assert len({label.height for label in found}) == len(costs)
    assert all(100 * (0.9 + 0.01 * (len(costs) - 1) + 0.004) < label.height < high for label in found)
    assert low < 89.6
    pairs = [(upper, lower) for upper in found for lower in found if upper.height > lower.height]
    for upper, lower in pairs:  # the line down from a label passes beside the labels below it
        if upper.side == lower.side:
            outwards = 1 if upper.side == "left" else -1
            assert outwards * upper.network.costs["flops"] <= outwards * lower.network.costs["flops"]
