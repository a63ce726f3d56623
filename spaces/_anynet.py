"""AnyNet: a stem, stages of equal blocks, and a head (Radosavovic et al., CVPR 2020, sec. 3.2; pycls)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from zenfront.spaces._blocks import Residual, SqueezeExcitation, classifier, conv_bn, conv_bn_relu, shortcut
from zenfront.spaces._network import Network
from zenfront.spaces._task import Task


@dataclass(frozen=True)
class Stage:
    """d blocks of width w, the first with the stride.

    Attributes:
        d: Number of blocks.
        w: Output channels of every block.
        stride: Of the first block.
        b: Bottleneck ratio: the 3 x 3 convolution has w / b channels.
        g: Group width: channels per group of the 3 x 3 convolution; divides w / b.
        se: Squeeze-and-excitation ratio to the width of the block's input; 0: none.
    """

    d: int
    w: int
    stride: int
    b: int = 1
    g: int = 1
    se: float = 0.0


Block = Callable[[int, Stage, int], nn.Module]


def vanilla(w_in: int, stage: Stage, stride: int) -> nn.Module:
    """Two 3 x 3 convolutions, each with BN and ReLU; no shortcut."""
    return nn.Sequential(*conv_bn_relu(w_in, stage.w, 3, stride), *conv_bn_relu(stage.w, stage.w))


def basic(w_in: int, stage: Stage, stride: int) -> nn.Module:
    """The block of ResNet-18 and ResNet-56: two 3 x 3 convolutions and a shortcut around them."""
    branch = nn.Sequential(*conv_bn_relu(w_in, stage.w, 3, stride), *conv_bn(stage.w, stage.w))
    return nn.Sequential(Residual(branch, shortcut(w_in, stage.w, stride)), nn.ReLU())


def bottleneck(w_in: int, stage: Stage, stride: int) -> nn.Module:
    """The X block (Y with squeeze-and-excitation): 1 x 1, grouped 3 x 3, 1 x 1, and a shortcut around them."""
    w_b = stage.w // stage.b
    squeeze = [SqueezeExcitation(w_b, round(w_in * stage.se))] if stage.se else []
    branch = nn.Sequential(
        *conv_bn_relu(w_in, w_b, 1),
        *conv_bn_relu(w_b, w_b, 3, stride, w_b // stage.g),
        *squeeze,
        *conv_bn(w_b, stage.w, 1),
    )
    return nn.Sequential(Residual(branch, shortcut(w_in, stage.w, stride)), nn.ReLU())


def cifar_stem(task: Task, w: int) -> nn.Module:
    """3 x 3 at full resolution (pycls' ``res_stem_cifar``)."""
    return nn.Sequential(*conv_bn_relu(task.channels, w))


def simple_stem(task: Task, w: int) -> nn.Module:
    """3 x 3 with stride 2: RegNet's stem for ImageNet (pycls' ``simple_stem_in``)."""
    return nn.Sequential(*conv_bn_relu(task.channels, w, 3, 2))


def imagenet_stem(task: Task, w: int) -> nn.Module:
    """7 x 7 with stride 2, then 3 x 3 max pooling with stride 2 (pycls' ``res_stem_in``)."""
    return nn.Sequential(*conv_bn_relu(task.channels, w, 7, 2), nn.MaxPool2d(3, 2, 1))


def anynet(
    stem_w: int,
    stages: Sequence[Stage],
    task: Task,
    block: Block = bottleneck,
    stem: Callable[[Task, int], nn.Module] = cifar_stem,
) -> Network:
    """The network of these stages."""
    layers = [stem(task, stem_w)]
    w_in = stem_w
    for stage in stages:
        for position in range(stage.d):
            layers.append(block(w_in, stage, stage.stride if position == 0 else 1))
            w_in = stage.w
    return Network(nn.Sequential(*layers), classifier(w_in, task.classes))


def too_small(task: Task, halvings: int) -> str | None:
    """The violation of a network that halves the resolution more often than the images allow."""
    side = min(task.height, task.width)
    if side >= 2**halvings:
        return None
    return f"it halves the resolution {halvings} times, so images need sides of {2**halvings} or more, not {side}"
