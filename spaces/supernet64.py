"""The 64 architectures of "Deeper insights into weight sharing": a cell of two nodes with operations on three edges.

An architecture is written as three digits, for the edges from the input to node 1, from the input to node 2, and from
node 1 to node 2. The digits are 1: 3 x 3 max pooling with BN, 2 and 3: separable 3 x 3 and 5 x 5 convolutions, 4:
dilated 5 x 5 convolution (3 x 3 in the text of the paper). The network has four cells of 16 channels without reduction.
The output of a cell concatenates both nodes (the text says sum). BN has no affine parameters within cells and a
momentum of 0.4 everywhere. Every edge lies on a path from the input to the output.
"""

import re
from collections.abc import Mapping

import torch
from optuna.distributions import CategoricalDistribution
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._blocks import classifier, conv_bn
from zenfront.spaces._layers import BatchNorm2d, Conv2d
from zenfront.spaces._network import Network
from zenfront.spaces._pasted import compact
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

OPERATIONS = ("max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_5x5")
GENES = ("op_in_n1", "op_in_n2", "op_n1_n2")
WIDTH = 16
STEM_WIDTH = 3 * WIDTH
CELLS = 4
BN_MOMENTUM = 0.4


def _norm(w: int) -> nn.BatchNorm2d:
    return BatchNorm2d(w, momentum=BN_MOMENTUM, affine=False)


def _separable(k: int, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (k // 2)
    depthwise = Conv2d(WIDTH, WIDTH, k, 1, padding, dilation, groups=WIDTH, bias=False)
    return [nn.ReLU(), depthwise, Conv2d(WIDTH, WIDTH, 1, bias=False), _norm(WIDTH)]


def _operation(name: str) -> nn.Module:
    k = int(name[-1])
    match name.rpartition("_")[0]:
        case "max_pool":
            return nn.Sequential(nn.MaxPool2d(k, 1, k // 2), _norm(WIDTH))
        case "dil_conv":
            return nn.Sequential(*_separable(k, 2))
    return nn.Sequential(*_separable(k), *_separable(k))


class Cell(nn.Module):
    """A cell (N, w_in, H, W) -> (N, 2 * 16, H, W) with the given operations."""

    def __init__(self, names: Mapping[str, str], w_in: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.ReLU(), Conv2d(w_in, WIDTH, 1, bias=False), _norm(WIDTH))
        self.operations = nn.ModuleList(_operation(names[gene]) for gene in GENES)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, w_in, H, W) to (N, 2 * 16, H, W)."""
        x = self.before(x)
        first, second, third = self.operations
        node_1 = first(x)
        return torch.cat([node_1, second(x) + third(node_1)], 1)


def _build(architecture: Architecture, task: Task) -> Network:
    names = {gene: str(architecture[gene]) for gene in GENES}
    stem = nn.Sequential(*conv_bn(task.channels, STEM_WIDTH), *conv_bn(STEM_WIDTH, STEM_WIDTH))
    cells = [Cell(names, STEM_WIDTH if position == 0 else 2 * WIDTH) for position in range(CELLS)]
    network = Network(nn.Sequential(stem, *cells), classifier(2 * WIDTH, task.out_features))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = BN_MOMENTUM
    return network


def _sharing(architecture: Architecture, module: str) -> str:
    """Name the operation on an edge after its gene and its value."""
    parts = module.split(".")
    if parts[2:3] == ["operations"]:
        gene = GENES[int(parts[3])]
        parts[2:4] = [f"{gene}={architecture[gene]}"]
    return ".".join(parts)


def _notation(architecture: Architecture) -> str:
    return "".join(str(OPERATIONS.index(str(value)) + 1) for _, value in architecture.genes)


def _parse(text: str) -> Mapping[str, object]:
    if not re.fullmatch("[1-4]{3}", compact(text)):
        raise UserError(
            f"an architecture of supernet64 must consist of three digits from 1 to 4, such as 434, but got {text!r}."
        )
    return {gene: OPERATIONS[int(digit) - 1] for gene, digit in zip(GENES, compact(text), strict=True)}


SPACE = Space(
    name="supernet64",
    distributions={gene: CategoricalDistribution(OPERATIONS) for gene in GENES},
    build=_build,
    notation=_notation,
    parse=_parse,
    sharing=_sharing,
    source="Zhang et al., Deeper insights into weight sharing, 2020, arXiv:2001.01431",
)
