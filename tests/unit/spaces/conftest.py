"""Complexities by the counting rules of the spaces' references."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from zenfront.spaces import Network, Task


class Complexity(NamedTuple):
    params: int
    macs: int
    biases: int
    activations: int


def count(network: Network, task: Task) -> Complexity:
    """Count, for one image, macs of convolutions and linear layers without biases; outputs of these and max pooling."""
    macs = biases = activations = 0

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal macs, biases, activations
        activations += output.numel()
        if isinstance(module, nn.Conv2d | nn.Linear):
            positions = output[0, 0].numel() if isinstance(module, nn.Conv2d) else 1
            macs += module.weight.numel() * positions
            biases += 0 if module.bias is None else module.bias.numel()

    counted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.MaxPool2d)]
    handles = [module.register_forward_hook(hook) for module in counted]
    with torch.no_grad():
        network.eval()(torch.empty(1, task.channels, task.height, task.width, device="meta"))
    for handle in handles:
        handle.remove()
    return Complexity(sum(p.numel() for p in network.parameters()), macs, biases, activations)


@pytest.fixture(scope="session")
def complexity() -> Callable[[Network, Task], Complexity]:
    return count
