"""Shared parts of NAS-Bench-201 and the size space of NATS-Bench: operations, reduction block and network skeleton."""

from collections.abc import Mapping, Sequence

from torch import nn

from zenfront.spaces._blocks import Residual, classifier, conv_bn
from zenfront.spaces._cell import Edge, EdgeCell, Zero, relu_conv_bn, select_edges
from zenfront.spaces._layers import BatchNorm2d, Conv2d
from zenfront.spaces._network import Network
from zenfront.spaces._outline import outlined
from zenfront.spaces._task import Task

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


@outlined
def _reduction(w_in: int, w_out: int) -> nn.Module:
    """Build the reduction block: two ReLU-conv-BN, the first of stride 2, with a shortcut.

    The shortcut is 2 x 2 average pooling followed by a 1 x 1 convolution without BN.
    """
    # The reference rounds odd sides down, which makes the sum fail; for even sides rounding up gives the same result.
    pool = nn.AvgPool2d(2, 2, ceil_mode=True)
    branch = nn.Sequential(relu_conv_bn(w_in, w_out, 3, 2), relu_conv_bn(w_out, w_out, 3))
    return Residual(branch, nn.Sequential(pool, Conv2d(w_in, w_out, 1, bias=False)))


def _operation(name: str, w_in: int, w_out: int) -> nn.Module:
    match name:
        case "nor_conv_3x3":
            return relu_conv_bn(w_in, w_out, 3)
        case "nor_conv_1x1":
            return relu_conv_bn(w_in, w_out, 1)
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        case "skip_connect":
            return nn.Identity() if w_in == w_out else nn.Sequential(*conv_bn(w_in, w_out, 1))
    return Zero()


@outlined
def _cell(names: tuple[tuple[Edge, str], ...], w_in: int, w_out: int) -> nn.Module:
    kept = select_edges(dict(names))
    return EdgeCell({edge: _operation(kept[edge], w_in if edge[0] == 0 else w_out, w_out) for edge in kept})


def nats_network(names: Mapping[Edge, str], widths: Sequence[int], cells: int, task: Task) -> Network:
    """Build a network of a 3 x 3 stem, three stages of cells, BN-ReLU, pooling and a linear layer.

    Reduction blocks separate the stages.

    Args:
        names: Operation of every edge of the cell.
        widths: Output channels of five parts: stem and stage 1, first reduction, stage 2, second reduction, stage 3.
        cells: Number of cells in each stage.
        task: Image shape and number of classes.
    """
    layers: list[nn.Module] = [nn.Sequential(*conv_bn(task.channels, widths[0]))]
    w, cell = widths[0], tuple(names.items())
    for stage, width in enumerate((widths[0], widths[2], widths[4])):
        if stage > 0:
            layers.append(_reduction(w, widths[2 * stage - 1]))
            w = widths[2 * stage - 1]
        for _ in range(cells):
            layers.append(_cell(cell, w, width))
            w = width
    layers.append(nn.Sequential(BatchNorm2d(w), nn.ReLU()))
    return Network(nn.Sequential(*layers), classifier(w, task.out_features))
