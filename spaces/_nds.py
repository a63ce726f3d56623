"""The standard model families of "On network design spaces": three stages on CIFAR, with all choices made per stage.

The networks have a 3 x 3 stem of 16 channels, stages with strides 1, 2, 2, global average pooling and a linear layer.
The paper denotes by (a, b, n) n values that are spaced about evenly in log space between a and b; the values here are
those of its released models. It compares models within the complexity of ResNet-56, at most 0.856 M parameters or
0.129 G multiply-adds, which an experiment can state as constraints on ``params`` and ``flops``.
"""

from collections.abc import Sequence

from optuna.distributions import CategoricalDistribution

from zenfront.spaces._anynet import Block, Stage, anynet, resolution_violation
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
    published: Sequence[int] = (),
) -> Space:
    """Create one of the spaces of the paper.

    Args:
        name: Name in the registry.
        block: Function that builds the block of every stage.
        depths: Choices for the number of blocks of a stage, d.
        widths: Choices for the number of channels of a stage, w.
        ratios: Choices for the bottleneck ratio b, where the 3 x 3 convolution has w / b channels; empty for blocks
            without a bottleneck.
        groups: Choices for the number of groups of the 3 x 3 convolution; empty for blocks without groups.
        published: Numbers of blocks of a stage that published networks have beyond `depths`.
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
        return resolution_violation(task, STRIDES.count(2))

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
        published={f"d{i}": tuple(published) for i in range(1, len(STRIDES) + 1)},
        source="Radosavovic et al., On network design spaces, ICCV 2019, arXiv:1905.13214, table 1",
    )
