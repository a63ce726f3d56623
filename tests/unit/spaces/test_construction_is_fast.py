"""Construction needs fewer function calls than torch's own; counting calls makes the test independent of speed.

A network of some 50 layers takes 3 ms of processor time on the meta device where torch's layers alone take 9 ms.
"""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from zenfront import spaces
from zenfront.pipeline.seeds import torch_generator
from zenfront.spaces import Network, Task, initialise

CIFAR = Task(3, 32, 32, 10)


def calls(function: Callable[[], object]) -> int:
    """Count the calls of Python and C functions of the second run, when caches are filled."""
    function()
    count = 0

    def profile(frame: object, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture
def build() -> Callable[[], Network]:
    space = spaces.load("resnet")
    genes = {f"{gene}{i}": value for i, w in ((1, 16), (2, 32), (3, 64)) for gene, value in {"d": 8, "w": w}.items()}
    architecture = space.architecture(genes)
    network = space.network(architecture, CIFAR)
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == 1 + 2 * 3 * 8 + 2
    return lambda: space.network(architecture, CIFAR)


def torchs_own(network: Network) -> None:
    """Construct the convolutions and batch norms of a network with torch."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.Conv2d(layer.in_channels, layer.out_channels, 3, bias=layer.bias is not None)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.BatchNorm2d(layer.num_features)


def test_on_the_meta_device(build: Callable[[], Network]) -> None:
    network = build()
    with torch.device("meta"):
        limit = calls(lambda: torchs_own(network)) / 2
    assert calls(build) < limit


@pytest.mark.global_rng
def test_with_weights(build: Callable[[], Network]) -> None:
    network = build()
    limit = calls(lambda: torchs_own(network))
    assert calls(lambda: initialise(build(), torch_generator(0, "speed"))) < limit
