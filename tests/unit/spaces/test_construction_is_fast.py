"""A network of some 50 layers: 10 ms of CPU time on the meta device, 20 ms with its weights."""

import time
from collections.abc import Callable

import pytest
from torch import nn

import spaces
from pipeline.seeds import torch_generator
from spaces import Network, Task, initialise

CIFAR = Task(3, 32, 32, 10)


def cpu_milliseconds(function: Callable[[], object]) -> float:
    """The least of several: other processes on the machine only ever add."""
    times = []
    for _ in range(15):
        start = time.thread_time()
        function()
        times.append(time.thread_time() - start)
    return 1000 * min(times)


@pytest.fixture
def build() -> Callable[[], Network]:
    space = spaces.load("resnet")
    genes = {f"{gene}{i}": value for i, w in ((1, 16), (2, 32), (3, 64)) for gene, value in {"d": 8, "w": w}.items()}
    architecture = space.architecture(genes)
    network = space.network(architecture, CIFAR)
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == 1 + 2 * 3 * 8 + 2
    return lambda: space.network(architecture, CIFAR)


def test_on_the_meta_device(build: Callable[[], Network]) -> None:
    assert cpu_milliseconds(build) <= 10


def test_with_weights(build: Callable[[], Network]) -> None:
    assert cpu_milliseconds(lambda: initialise(build(), torch_generator(0, "speed"))) <= 20
