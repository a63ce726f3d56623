"""RegNet: widths that grow linearly and are quantised to a few stages.

Block j of d blocks has the width u_j = w_0 + w_a j. It is quantised to w_0 w_m^{s_j} with
s_j = round(log(u_j / w_0) / log(w_m)), and then rounded to a multiple of 8. A run of equal widths forms a stage, and
every stage has stride 2 (Radosavovic et al., CVPR 2020, sec. 3.3). The other genes are the group width g, the
bottleneck ratio b and the squeeze-and-excitation ratio se (0.25 in RegNetY). If g does not divide the bottleneck width
w / b, the latter is rounded to a multiple of g, as in pycls (``adjust_block_compatibility``).

The stem depends on the task rather than on a gene: a 3 x 3 convolution to 32 channels with stride 2 for sides of 64 or
more (ImageNet, ``simple_stem_in`` in pycls) and stride 1 otherwise (CIFAR, ``res_stem_cifar``). The ranges are those of
the paper except for w_a and d, which end at 128 and 32. The published RegNetX and RegNetY lie inside them, but for
RegNetX-32GF, whose w_0 of 320 no search draws. Genes that generate equal widths are not merged.
"""

import math
from itertools import groupby

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from zenfront.spaces._anynet import Stage, anynet, cifar_stem, resolution_violation, simple_stem
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._network import Network
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

STEM_WIDTH = 32
IMAGENET_SIDE = 64
STAGES = 4


def _block_widths(w_0: int, w_a: float, w_m: float, d: int) -> list[int]:
    exponents = [round(math.log((w_0 + w_a * j) / w_0) / math.log(w_m)) for j in range(d)]
    return [8 * round(w_0 * w_m**s / 8) for s in exponents]


def _compatible(w: int, b: int, g: int) -> tuple[int, int]:
    """Return the nearest width whose bottleneck width is a multiple of the group width, and that group width."""
    w_b = w // b
    g = min(g, w_b)
    return max(g, round(w_b / g) * g) * b, g


def _stages(architecture: Architecture) -> list[Stage]:
    genes = architecture.mapping
    b, g, se = int(genes["b"]), int(genes["g"]), float(genes["se"])
    widths = _block_widths(int(genes["w_0"]), float(genes["w_a"]), float(genes["w_m"]), int(genes["d"]))
    stages = []
    for w, run in groupby(sorted(widths)):
        width, group_width = _compatible(w, b, g)
        stages.append(Stage(len(list(run)), width, 2, b, group_width, se))
    return stages


def _is_large(task: Task) -> bool:
    return min(task.height, task.width) >= IMAGENET_SIDE


def _build(architecture: Architecture, task: Task) -> Network:
    return anynet(STEM_WIDTH, _stages(architecture), task, stem=simple_stem if _is_large(task) else cifar_stem)


def _violation(architecture: Architecture, task: Task) -> str | None:
    count = len(_stages(architecture))
    if count > STAGES:
        return f"it has {count} stages, but a RegNet can have at most {STAGES}"
    return resolution_violation(task, count + _is_large(task))


SPACE = Space(
    name="regnet",
    distributions={
        "w_0": IntDistribution(8, 256, step=8),
        "w_a": FloatDistribution(4.0, 128.0, step=0.01),
        "w_m": FloatDistribution(1.5, 3.0, step=0.01),
        "d": IntDistribution(2, 32),
        "g": CategoricalDistribution((1, 2, 4, 8, 16, 24, 32, 40, 48, 56, 64, 72, 112, 120, 128, 168, 232)),
        "b": CategoricalDistribution((1, 2, 4)),
        "se": CategoricalDistribution((0.0, 0.25)),
    },
    build=_build,
    violation=_violation,
    published={"w_0": (320,)},
    source="RegNetX and RegNetY; Radosavovic et al., CVPR 2020, arXiv:2003.13678, sec. 3.3",
)
