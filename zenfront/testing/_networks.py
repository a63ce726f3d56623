"""Small networks with everything that a proxy meets, and a cheap one of every search space."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.spaces import Architecture, Auxiliary, Network, Space, Task, initialise

TASK = Task(3, 8, 8, 4)
SEED = 11
SIDES = (8, 16, 32, 64)
DRAWN = 12
"""Architectures of a space, of which the cheapest is scored."""


class _Gated(nn.Module):
    """Squeeze-and-excitation with biases."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, 2, 1), nn.ReLU(), nn.Conv2d(2, width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x * self.gate(x)
        return y


class _Twice(nn.Module):
    """One convolution used two times, with a concatenation of both results."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        once = self.conv(x)
        return torch.cat([once, torch.relu(self.conv(once))], 1)


class _Shortcut(Auxiliary):
    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Conv2d(width, width, 1, bias=False)
        self.branch = nn.Sequential(_conv(width, width), last, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.branch(x)
        return torch.relu(y + x if self.active else y)


def _conv(w_in: int, w_out: int, *, norm: bool = True, inplace: bool = False, **options: Any) -> nn.Sequential:
    options = {"kernel_size": 3, "padding": 1, "bias": not norm} | options
    layers = [nn.Conv2d(w_in, w_out, **options), *([nn.BatchNorm2d(w_out)] if norm else []), nn.ReLU(inplace)]
    return nn.Sequential(*layers)


BODIES: dict[str, Callable[[], tuple[list[nn.Module], int]]] = {
    "with batch norm": lambda: ([_conv(3, 8), _conv(8, 12, stride=2)], 12),
    "without norm": lambda: ([_conv(3, 8, norm=False), _conv(8, 12, norm=False)], 12),
    "residual": lambda: ([_conv(3, 8), _Shortcut(8), _Shortcut(8)], 8),
    "grouped": lambda: ([_conv(3, 8), _conv(8, 8, groups=4), _conv(8, 16, stride=2, groups=2)], 16),
    "depthwise": lambda: ([_conv(3, 8), _conv(8, 8, groups=8, kernel_size=5, padding=2), _conv(8, 12)], 12),
    "dilated": lambda: ([_conv(3, 8), _conv(8, 8, dilation=2, padding=2), _conv(8, 8, padding="same")], 8),
    "biased under batch norm": lambda: ([_conv(3, 8, bias=True), _conv(8, 8, bias=True)], 8),
    "squeeze-and-excitation": lambda: ([_conv(3, 8), nn.Sequential(_conv(8, 8), _Gated(8)), _conv(8, 8)], 8),
    "in place": lambda: ([_conv(3, 8, inplace=True), _conv(8, 8, inplace=True), _conv(8, 8, inplace=True)], 8),
    "shared weights": lambda: ([_conv(3, 4), _Twice(4), _conv(8, 8)], 8),
    "dropout": lambda: ([_conv(3, 8), nn.Sequential(_conv(8, 8), nn.Dropout(0.2)), _conv(8, 8)], 8),
    "pooling": lambda: (
        [_conv(3, 8), nn.Sequential(nn.MaxPool2d(3, 2, 1), _conv(8, 8)), nn.AvgPool2d(3, 2, 1), _conv(8, 8)],
        8,
    ),
}
"""Blocks and the width of the last, by what is special in them."""


def meta(name: str) -> Network:
    """Build the network of a body on the meta device."""
    with torch.device("meta"):
        blocks, width = BODIES[name]()
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, TASK.out_features))
        return Network(nn.Sequential(*blocks), head)


def ready(proxy: Proxy, network: Network, seed: int = SEED) -> Network:
    """Give a network the weights that the scorer would give it for the proxy."""
    return network if proxy.weights == "none" else initialise(network, generator(seed), proxy.weights)


def generator(seed: int = SEED) -> torch.Generator:
    """Return a generator; the same for the same seed."""
    return torch_generator(seed, "contract")


def score(proxy: Proxy, network: Network, batch: Batch) -> float:
    """Take a score as the scorer does: costs on the meta device."""
    return proxy.score(network, batch.to("meta" if proxy.is_cost else "cpu"), generator())


def batch_of(count: int, task: Task = TASK) -> Batch:
    """Draw images of two classes."""
    images = torch.randn(count, task.channels, task.height, task.width, generator=generator())
    return Batch(images, torch.tensor([0, 1, 0, 1, 1, 0, 1, 0][:count]))


@cache
def cheap(name: str, on_meta: bool) -> tuple[Network, Task]:
    """Build the cheapest of some architectures of a space, for the smallest images that it takes.

    FLOPs grow with parameters and pixels: their product orders networks well enough, and none is traced. The network is
    built once and initialised for each proxy, as the scorer does it; those on the meta device stay there.
    """
    space, architecture, task = _cheapest(name)
    return space.network(architecture, task), task


@cache
def _cheapest(name: str) -> tuple[Space, Architecture, Task]:
    space, rng = spaces.load(name), numpy_generator(SEED, name)
    tasks = [Task(3, side, side, 2) for side in SIDES]
    drawn = (space.sample(rng) for _ in range(DRAWN))
    fitting = [(a, next((t for t in tasks if space.violation(a, t) is None), None)) for a in drawn]

    def cost(architecture: Architecture, task: Task) -> int:
        parameters = space.network(architecture, task).parameters()
        return task.height * task.width * sum(parameter.numel() for parameter in parameters)

    return space, *min(((a, t) for a, t in fitting if t), key=lambda pair: cost(*pair))
