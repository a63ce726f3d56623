"""Three stages of residual bottleneck blocks for small images.

The space is AnyNetX of Radosavovic et al., Designing network design spaces, CVPR 2020, sec. 3.2, with strides 1, 2, 2
and a 3 x 3 stem of 16 channels, as pycls uses on CIFAR. Every stage i has a depth d, a width w, a bottleneck ratio b
(inner width w / b) and a group width g. Deviation: if g does not divide w / b, it is replaced by their greatest common
divisor, so that every sample can be built; pycls widens w / b instead.
"""

import math

from optuna.distributions import CategoricalDistribution, IntDistribution

from zenfront.spaces._anynet import Stage, anynet, resolution_violation
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._network import Network
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

STEM = 16
STRIDES = (1, 2, 2)
WIDTHS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256)  # about log-uniform


def _stages(architecture: Architecture) -> list[Stage]:
    genes = architecture.mapping
    return [
        Stage(int(genes[f"d{i}"]), int(genes[f"w{i}"]), stride, int(genes[f"b{i}"]), int(genes[f"g{i}"]))
        for i, stride in enumerate(STRIDES, start=1)
    ]


def _canonical(architecture: Architecture) -> Architecture:
    """Replace each group width by its greatest common divisor with the bottleneck width."""
    genes = dict(architecture.genes)
    for i in range(1, len(STRIDES) + 1):
        genes[f"g{i}"] = math.gcd(int(genes[f"g{i}"]), int(genes[f"w{i}"]) // int(genes[f"b{i}"]))
    return Architecture(architecture.space, tuple(genes.items()))


def _build(architecture: Architecture, task: Task) -> Network:
    return anynet(STEM, _stages(_canonical(architecture)), task)


def _violation(architecture: Architecture, task: Task) -> str | None:
    return resolution_violation(task, sum(stride == 2 for stride in STRIDES))


SPACE = Space(
    name="anynet3",
    distributions={
        gene: distribution
        for i in range(1, len(STRIDES) + 1)
        for gene, distribution in {
            f"d{i}": IntDistribution(1, 12),
            f"w{i}": CategoricalDistribution(WIDTHS),
            f"b{i}": CategoricalDistribution((1, 2, 4)),
            f"g{i}": CategoricalDistribution((1, 2, 4, 8, 16, 32, 64)),
        }.items()
    },
    build=_build,
    canonical=_canonical,
    violation=_violation,
    source="AnyNetX with three stages; Radosavovic et al., CVPR 2020, arXiv:2003.13678, sec. 3.2",
)
