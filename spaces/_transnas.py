"""Shared parts of the two spaces of TransNAS-Bench-101: stem, modules and network."""

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
    """Check whether a module with the given code doubles the channels."""
    return code in "24"


def halves(code: str) -> bool:
    """Check whether a module with the given code halves the resolution."""
    return code in "34"


def transnas_network(codes: str, block: Callable[[int, int, int], nn.Module], task: Task) -> Network:
    """Build a stem of stride 4, one module of two blocks per code, global average pooling and a linear layer.

    Args:
        codes: One digit per module. 1: unchanged shape; 2: doubled channels; 3: halved resolution; 4: both.
        block: Function (input channels, output channels, stride) that builds a block.
        task: Image shape and number of classes. Of the seven tasks of the benchmark, only classification is supported.
    """
    stem = nn.Sequential(*conv_bn(task.channels, WIDTH // 2, 3, 2), relu_conv_bn(WIDTH // 2, WIDTH, 3, 2))
    layers, w = [stem], WIDTH
    for code in codes:
        w_out = 2 * w if doubles(code) else w
        first = block(w, w_out, 2 if halves(code) else 1)
        layers.append(nn.Sequential(first, *(block(w_out, w_out, 1) for _ in range(BLOCKS - 1))))
        w = w_out
    return Network(nn.Sequential(*layers), classifier(w, task.out_features))
