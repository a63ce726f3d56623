"""AnyNet: a stem, stages of identical blocks, and a head (Radosavovic et al., CVPR 2020, sec. 3.2; pycls)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import nn

from zenfront.spaces._blocks import Residual, SqueezeExcitation, classifier, conv_bn, conv_bn_relu, shortcut
from zenfront.spaces._network import Network
from zenfront.spaces._outline import outlined
from zenfront.spaces._task import Task


@dataclass(frozen=True)
class Stage:
    """A stage of d blocks of width w, of which the first applies the stride.

    Attributes:
        d: Number of blocks.
        w: Number of output channels of every block.
        stride: Stride of the first block.
        b: Bottleneck ratio; the 3 x 3 convolution has w / b channels.
        g: Group width, the number of channels per group of the 3 x 3 convolution; must divide w / b.
        se: Squeeze-and-excitation ratio, relative to the input width of the block; 0 disables it.
    """

    d: int
    w: int
    stride: int
    b: int = 1
    g: int = 1
    se: float = 0.0


Block = Callable[[int, Stage, int], nn.Module]


@outlined
def vanilla(w_in: int, stage: Stage, stride: int) -> nn.Module:
    """Build two 3 x 3 convolutions, each followed by BN and ReLU, without a shortcut."""
    return nn.Sequential(*conv_bn_relu(w_in, stage.w, 3, stride), *conv_bn_relu(stage.w, stage.w))


@outlined
def basic(w_in: int, stage: Stage, stride: int) -> nn.Module:
    """Build the block of ResNet-18 and ResNet-56: two 3 x 3 convolutions with a shortcut around them."""
    branch = nn.Sequential(*conv_bn_relu(w_in, stage.w, 3, stride), *conv_bn(stage.w, stage.w))
    return nn.Sequential(Residual(branch, shortcut(w_in, stage.w, stride)), nn.ReLU())


@outlined
def bottleneck(w_in: int, stage: Stage, stride: int) -> nn.Module:
    """Build an X block (Y with squeeze-and-excitation): 1 x 1, grouped 3 x 3 and 1 x 1 convolutions with a shortcut."""
    w_b = stage.w // stage.b
    squeeze = [SqueezeExcitation(w_b, round(w_in * stage.se))] if stage.se else []
    branch = nn.Sequential(
        *conv_bn_relu(w_in, w_b, 1),
        *conv_bn_relu(w_b, w_b, 3, stride, w_b // stage.g),
        *squeeze,
        *conv_bn(w_b, stage.w, 1),
    )
    return nn.Sequential(Residual(branch, shortcut(w_in, stage.w, stride)), nn.ReLU())


@outlined
def cifar_stem(task: Task, w: int) -> nn.Module:
    """Build a 3 x 3 stem at full resolution (pycls' ``res_stem_cifar``)."""
    return nn.Sequential(*conv_bn_relu(task.channels, w))


@outlined
def simple_stem(task: Task, w: int) -> nn.Module:
    """Build a 3 x 3 stem with stride 2, which RegNet uses on ImageNet (pycls' ``simple_stem_in``)."""
    return nn.Sequential(*conv_bn_relu(task.channels, w, 3, 2))


@outlined
def imagenet_stem(task: Task, w: int) -> nn.Module:
    """Build a 7 x 7 stem with stride 2, followed by 3 x 3 max pooling with stride 2 (pycls' ``res_stem_in``)."""
    return nn.Sequential(*conv_bn_relu(task.channels, w, 7, 2), nn.MaxPool2d(3, 2, 1))


def anynet(
    stem_w: int,
    stages: Sequence[Stage],
    task: Task,
    block: Block = bottleneck,
    stem: Callable[[Task, int], nn.Module] = cifar_stem,
) -> Network:
    """Build a network from a stem, the given stages and a linear classifier.

    Args:
        stem_w: Number of output channels of the stem.
        stages: The stages, in order.
        task: Image shape and number of classes.
        block: Function (input width, stage, stride) that builds a block.
        stem: Function (task, output width) that builds the stem.
    """
    layers = [stem(task, stem_w)]
    w_in = stem_w
    for stage in stages:
        shape = replace(stage, d=1, stride=1)  # all that a block depends on: equal blocks are outlined once
        for position in range(stage.d):
            layers.append(block(w_in, shape, stage.stride if position == 0 else 1))
            w_in = stage.w
    return Network(nn.Sequential(*layers), classifier(w_in, task.out_features))


def resolution_violation(task: Task, halvings: int) -> str | None:
    """Return the violation if a network halves the resolution more often than the images allow, else None."""
    side = min(task.height, task.width)
    if side >= 2**halvings:
        return None
    return f"it halves the resolution {halvings} times, so images must have sides of at least {2**halvings}, not {side}"
