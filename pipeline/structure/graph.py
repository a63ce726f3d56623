"""Counts of the graph that a network computes, the same columns for every space."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from zenfront.pipeline.proxies._trace import Call, Trace, trace

KINDS: dict[Callable[..., Any], str] = {
    torch.add: "sum",
    torch.Tensor.add: "sum",
    torch.Tensor.add_: "sum",
    torch.Tensor.__add__: "sum",
    torch.cat: "concatenation",
    F.avg_pool2d: "average pooling",
    F.max_pool2d: "maximum pooling",
    torch.Tensor.mul: "product",
    torch.Tensor.__mul__: "product",
    torch.mul: "product",
}
COUNTED = (*dict.fromkeys(KINDS.values()), "1x1", "3x3", "larger", "grouped")
COLUMNS = (
    *COUNTED,
    *(f"multiply-adds at resolution {i}" for i in range(5)),
    *("depth", "shortest path", "paths", "widest", "mean width", "parameters", "multiply-adds", "live calls"),
)


def graph_row(network: nn.Module, shape: Sequence[int]) -> np.ndarray:
    """Return the counts (len(COLUMNS),) of a network; those that grow without bound as log(1 + count).

    Args:
        network: Network on the meta device.
        shape: Shape (C, H, W) of an image.

    Raises:
        NotImplementedError: The cost of a layer is not known.
    """
    traced = trace(network, shape)
    live = list(traced.live())
    convolutions = [call for call in live if call.is_convolution]
    counts = Counter(_kind(call) for call in live)
    widths = [call.shape[1] for call in convolutions] or [0]
    sizes = [
        *(counts[name] for name in COUNTED),
        *_multiply_adds(convolutions, shape[1]),
        traced.longest(lambda call: int(call.is_convolution)),
        _shortest(traced),
        _paths(traced),
        max(widths),
        sum(widths) / len(widths),
        sum(parameter.numel() for call in live for parameter in call.parameters),
        sum(call.multiply_adds for call in live),
        len(live),
    ]
    return np.log1p(np.array(sizes, dtype=np.float64))


def _kind(call: Call) -> str | None:
    """Return what a call counts as, or None."""
    if not call.is_convolution:
        return KINDS.get(call.function)
    weight = call.parameters[0] if call.parameters else None
    if weight is None:
        return None
    if call.inputs and weight.shape[1] < call.inputs[0].shape[1]:
        return "grouped"
    return {1: "1x1", 3: "3x3"}.get(weight.shape[-1], "larger")


def _multiply_adds(convolutions: Sequence[Call], side: int) -> list[int]:
    """Return the multiply-adds at the resolution of the image, at a half of it, and so on; the last holds the rest."""
    sums = [0] * 5
    for call in convolutions:
        sums[min(4, max(0, round(np.log2(side / max(1, call.shape[-1])))))] += call.multiply_adds
    return sums


def _shortest(traced: Trace) -> int:
    """Return the least number of convolutions on a path from input to output, or 0 without a path."""
    reached = {traced.source: 0}
    for call in traced.calls:
        before = [reached[i] for i in call.inputs if i in reached]
        if before:
            reached[call] = min(before) + int(call.is_convolution)
    return reached.get(traced.output, 0)


def _paths(traced: Trace) -> int:
    """Return the number of paths from input to output."""
    reached = {traced.source: 1}
    for call in traced.calls:
        if count := sum(reached.get(i, 0) for i in call.inputs):
            reached[call] = count
    return reached.get(traced.output, 0)
