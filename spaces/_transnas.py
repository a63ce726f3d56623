"""What the two spaces of TransNAS-Bench-101 share: the stem, the modules, the network."""

from collections.abc import Callable

from torch import nn

from zenfront.spaces._blocks import classifier, conv_bn
from zenfront.spaces._cell import relu_conv_bn
from zenfront.spaces._network import Network
from zenfront.spaces._task import Task

WIDTH = 64
BLOCKS = 2
STEM_HALVINGS = 2


def doubles(code: str) -> bool:
    """Whether a module of that code doubles the channels."""
    return code in "24"


def halves(code: str) -> bool:
    """Whether a module of that code halves the resolution."""
    return code in "34"


def transnas_network(codes: str, block: Callable[[int, int, int], nn.Module], task: Task) -> Network:
    """A stem of stride 4, a module of two blocks for every code, global average pooling and a linear layer.

    Args:
        codes: A digit a module. 1: as is; 2: twice the channels; 3: half the resolution; 4: both.
        block: (input channels, output channels, stride) -> block.
        task: Images and classes; of the benchmark's seven tasks, classification.
    """
    stem = nn.Sequential(*conv_bn(task.channels, WIDTH // 2, 3, 2), relu_conv_bn(WIDTH // 2, WIDTH, 3, 2))
    layers, w = [stem], WIDTH
    for code in codes:
        w_out = 2 * w if doubles(code) else w
        first = block(w, w_out, 2 if halves(code) else 1)
        layers.append(nn.Sequential(first, *(block(w_out, w_out, 1) for _ in range(BLOCKS - 1))))
        w = w_out
    return Network(nn.Sequential(*layers), classifier(w, task.classes))
