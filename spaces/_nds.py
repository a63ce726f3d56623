"""The standard model families of "On network design spaces": three stages on CIFAR, all choices per stage.

A 3 x 3 stem of 16 channels, stages at strides 1, 2, 2, global average pooling and a linear layer. The paper writes
(a, b, n): n values spaced about evenly in log space between a and b; the values are those of its released models.
It compares models under the complexity of ResNet-56: at most 0.856 M parameters or 0.129 G multiply-adds, which an
experiment states as constraints on ``params`` and ``flops``.
"""

from collections.abc import Sequence

from optuna.distributions import CategoricalDistribution

from zenfront.spaces._anynet import Block, Stage, anynet, too_small
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._network import Network
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

STEM_WIDTH = 16
STRIDES = (1, 2, 2)
DEPTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
WIDTHS = (16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256)


def nds_space(
    name: str,
    block: Block,
    depths: Sequence[int] = DEPTHS,
    widths: Sequence[int] = WIDTHS,
    ratios: Sequence[int] = (),
    groups: Sequence[int] = (),
) -> Space:
    """One of the paper's spaces.

    Args:
        name: As in the registry.
        block: What every stage repeats.
        depths: Blocks of a stage, d.
        widths: Channels of a stage, w.
        ratios: Bottleneck ratios b: the 3 x 3 convolution has w / b channels; none for blocks without.
        groups: Numbers of groups of the 3 x 3 convolution; none for blocks without.
    """
    choices = {"d": depths, "w": widths, "b": ratios, "groups": groups}

    def stages(architecture: Architecture) -> list[Stage]:
        genes = {name: int(value) for name, value in architecture.genes}
        result = []
        for i, stride in enumerate(STRIDES, start=1):
            w, b = genes[f"w{i}"], genes.get(f"b{i}", 1)
            result.append(Stage(genes[f"d{i}"], w, stride, b, w // b // genes.get(f"groups{i}", 1)))
        return result

    def build(architecture: Architecture, task: Task) -> Network:
        return anynet(STEM_WIDTH, stages(architecture), task, block)

    def violation(architecture: Architecture, task: Task) -> str | None:
        return too_small(task, STRIDES.count(2))

    return Space(
        name=name,
        distributions={
            f"{gene}{i}": CategoricalDistribution(tuple(values))
            for i in range(1, len(STRIDES) + 1)
            for gene, values in choices.items()
            if values
        },
        build=build,
        violation=violation,
        source="Radosavovic et al., On network design spaces, ICCV 2019, arXiv:1905.13214, table 1",
    )
