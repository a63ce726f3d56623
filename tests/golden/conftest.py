"""The golden networks, and their values by the authors' own code.

``proxies.json`` and ``proxies.npz`` were computed once with torch 2.13 on the CPU from ZenNAS d1d617e, ZiCo b0fec65,
zero-cost-nas HEAD and TE-NAS: the scores, the inputs, the targets and the weights.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zenfront.pipeline.proxies import Batch
from zenfront.spaces import Network, initialise

FOLDER = Path(__file__).parent


def conv_bn(c_in: int, c_out: int, k: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(c_out)]


class Residual(nn.Module):
    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut, self.act = branch, shortcut, nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.branch(x) + self.shortcut(x))
        return y


def plain() -> tuple[nn.Sequential, int]:
    """Three conv-BN-ReLU layers, no shortcut."""
    layers = [*conv_bn(3, 8), nn.ReLU(), *conv_bn(8, 16, stride=2), nn.ReLU(), *conv_bn(16, 16), nn.ReLU()]
    return nn.Sequential(*layers), 16


def residual() -> tuple[nn.Sequential, int]:
    """Basic residual blocks, one of them strided with a projection."""

    def block(i: int, o: int, s: int) -> Residual:
        shortcut = nn.Identity() if i == o and s == 1 else nn.Sequential(*conv_bn(i, o, 1, s))
        return Residual(nn.Sequential(*conv_bn(i, o, 3, s), nn.ReLU(), *conv_bn(o, o)), shortcut)

    return nn.Sequential(*conv_bn(3, 8), nn.ReLU(), block(8, 8, 1), block(8, 16, 2)), 16


def grouped() -> tuple[nn.Sequential, int]:
    """A ResNeXt-like bottleneck: 1x1, grouped 3x3, 1x1."""
    branch = nn.Sequential(*conv_bn(12, 8, 1), nn.ReLU(), *conv_bn(8, 8, 3, 2, groups=4), nn.ReLU(), *conv_bn(8, 24, 1))
    return nn.Sequential(*conv_bn(3, 12), nn.ReLU(), Residual(branch, nn.Sequential(*conv_bn(12, 24, 1, 2)))), 24


def depthwise() -> tuple[nn.Sequential, int]:
    """An inverted bottleneck with a depthwise 5x5."""
    expand = [*conv_bn(3, 8, 3, 2), nn.ReLU(), *conv_bn(8, 24, 1), nn.ReLU()]
    return nn.Sequential(*expand, *conv_bn(24, 24, 5, 1, groups=24), nn.ReLU(), *conv_bn(24, 12, 1), nn.ReLU()), 12


def deep_narrow() -> tuple[nn.Sequential, int]:
    """Ten plain layers of four channels, which the Zen-score overrates."""
    layers: list[nn.Module] = [*conv_bn(3, 4), nn.ReLU()]
    for i in range(9):
        layers += [*conv_bn(4, 4, stride=2 if i == 4 else 1), nn.ReLU()]
    return nn.Sequential(*layers), 4


def biased() -> tuple[nn.Sequential, int]:
    """No batch normalisation; convolutions carry biases."""
    return nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()), 16


BUILDERS: dict[str, Callable[[], tuple[nn.Sequential, int]]] = {
    f.__name__: f for f in (plain, residual, grouped, depthwise, deep_narrow, biased)
}
CASES = [(name, init) for name in BUILDERS for init in ("gaussian", "kaiming")]


@pytest.fixture(scope="session")
def arrays() -> dict[str, Tensor]:
    with np.load(FOLDER / "proxies.npz") as file:
        return {key: torch.from_numpy(value) for key, value in file.items()}


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    name, init = request.param
    return name, init


@pytest.fixture
def network(case: tuple[str, str], arrays: dict[str, Tensor], generator: torch.Generator) -> Network:
    """The golden network with its golden weights."""
    name, init = case
    with torch.device("meta"):
        body, channels = BUILDERS[name]()
        head = nn.Linear(channels, 10)
        network = Network(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), head))
    initialise(network, generator)
    prefix = f"{name}/{init}/"
    state = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
    # The golden networks are called ``body`` and ``head``; batch norms keep their fresh statistics.
    nn.ModuleDict({"body": body, "head": head}).load_state_dict(state, strict=False)
    return network


@pytest.fixture
def golden(case: tuple[str, str]) -> dict[str, float]:
    """The golden values of the case, and the costs of its network."""
    name, init = case
    values = json.loads((FOLDER / "proxies.json").read_text())[name]
    costs = {key: value for key, value in values.items() if not isinstance(value, dict)}
    return {**values[init], **costs}


@pytest.fixture(scope="session")
def batch(arrays: dict[str, Tensor]) -> Batch:
    return Batch(arrays["inputs/0"], arrays["targets/0"])


@pytest.fixture(scope="session")
def both_batches(arrays: dict[str, Tensor]) -> Batch:
    images = torch.cat([arrays["inputs/0"], arrays["inputs/1"]])
    return Batch(images, torch.cat([arrays["targets/0"], arrays["targets/1"]]))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
