"""A search space and proxies of negligible cost, to measure the search engine itself.

The genes and the canonical form are those of `anynet3`; the network is empty and stores the size of its architecture.
The proxies take the same few microseconds for every network. They define a trade-off between size and cost with noise
from the generator, so that fronts have some hundred members. Zenfront finds them through entry points, as it does with
the plug-ins of any other package.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.spaces import Architecture, Network, Space, Task

SOURCE = "the benchmark of the engine"
ENTRY_POINTS = """[zenfront.spaces]
null = _null:SPACE
[zenfront.proxies]
null_zen = _null:ZEN
null_ntk = _null:NTK
null_flops = _null:FLOPS
null_params = _null:PARAMS
"""


class Genes(nn.Module):
    """Identity that stores the size of the architecture."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x


def _build(architecture: Architecture, task: Task) -> Network:
    return Network(Genes(sum(math.log1p(int(value)) for _, value in architecture.genes)), nn.Identity())


def _size(network: Network) -> float:
    assert isinstance(network.features, Genes)
    return network.features.size


def _noise(generator: torch.Generator) -> float:
    return float(torch.randn((), generator=generator))


def zen(network: Network, batch: Batch, generator: torch.Generator) -> float:
    return _size(network) + _noise(generator)


def ntk(network: Network, batch: Batch, generator: torch.Generator) -> float:
    return math.exp(0.2 * _size(network) + _noise(generator))


def flops(network: Network, batch: Batch, generator: torch.Generator) -> float:
    return math.exp(_size(network))


def params(network: Network, batch: Batch, generator: torch.Generator) -> float:
    return _size(network)


for _own in (_build, zen, ntk, flops, params):
    _own.__module__ = f"zenfront.{__name__}"  # as code of Zenfront: that of other authors is contained, 0.1 ms a score

SPACE = Space("null", spaces.load("anynet3").distributions, _build, SOURCE, spaces.load("anynet3").canonical)
ZEN = Proxy("null_zen", zen, "1", "maximise", SOURCE)
NTK = Proxy("null_ntk", ntk, "1", "minimise", SOURCE)
FLOPS = Proxy("null_flops", flops, "1", "minimise", SOURCE, weights="none")
PARAMS = Proxy("null_params", params, "1", "minimise", SOURCE, weights="none")


def install(folder: Path) -> str:
    """Write the metadata of the package to `folder` and return the PYTHONPATH that makes it importable."""
    package = folder / "null-1.0.dist-info"
    package.mkdir(parents=True, exist_ok=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: null\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(ENTRY_POINTS)
    return f"{folder}:{Path(__file__).parent}"
