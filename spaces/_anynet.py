"""AnyNet: a stem, stages of equal blocks, and a head (Radosavovic et al., CVPR 2020, sec. 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from spaces._blocks import Residual, classifier, conv_bn, conv_bn_relu
from spaces._network import Network
from spaces._task import Task


@dataclass(frozen=True)
class Stage:
    """d blocks of width w, the first with the stride.

    Attributes:
        d: Number of blocks.
        w: Output channels of every block.
        stride: Of the first block.
        b: Bottleneck ratio: the 3 x 3 convolution has w / b channels.
        g: Group width: channels per group of the 3 x 3 convolution; divides w / b.
    """

    d: int
    w: int
    stride: int
    b: int
    g: int


def bottleneck(w_in: int, w_out: int, stride: int, b: int, g: int) -> Residual:
    """The X block: 1 x 1, grouped 3 x 3, 1 x 1, each with BN; a shortcut around them."""
    w_b = w_out // b
    branch = nn.Sequential(
        *conv_bn_relu(w_in, w_b, 1),
        *conv_bn_relu(w_b, w_b, 3, stride, w_b // g),
        *conv_bn(w_b, w_out, 1),
    )
    return Residual(branch, w_in, w_out, stride)


def anynet(stem_w: int, stages: Sequence[Stage], task: Task) -> Network:
    """The network with a 3 x 3 stem at full resolution (pycls' ``res_stem_cifar``)."""
    blocks: list[nn.Module] = [nn.Sequential(*conv_bn_relu(task.channels, stem_w))]
    w_in = stem_w
    for stage in stages:
        for position in range(stage.d):
            stride = stage.stride if position == 0 else 1
            blocks.append(bottleneck(w_in, stage.w, stride, stage.b, stage.g))
            w_in = stage.w
    return Network(nn.Sequential(*blocks), classifier(w_in, task.classes))


def too_small(task: Task, halvings: int) -> str | None:
    """The violation of a network that halves the resolution more often than the images allow."""
    side = min(task.height, task.width)
    if side >= 2**halvings:
        return None
    return f"it halves the resolution {halvings} times, so images need sides of {2**halvings} or more, not {side}"
