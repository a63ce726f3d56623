"""Five units of inverted bottlenecks, with a depth per unit, a kernel and an expansion per layer, and a resolution.

The choices are those of Once-for-all: depth 2 to 4, expansion 3, 4 or 6, kernel size 3, 5 or 7, and resolution 128 to
224 in steps of 4. The widths are those of ProxylessNAS: a stem of 32 and a first block of 16 channels, units of 32, 40,
80, 96 and 192, a last block of 320, and a head of 1,280 channels. Layers of a unit beyond its depth are inactive, which
leaves 25 (9^2 + 9^3 + 9^4)^5 networks. The images are first scaled by resolution / 224, which gives the resolution of
Once-for-all for images of 224 pixels. For sides below 64 the stem and the first unit have stride 1. Deviations: ReLU
everywhere and no squeeze-and-excitation.
"""

from collections.abc import Mapping
from dataclasses import replace

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from torch import Tensor, nn

from zenfront.spaces._anynet import resolution_violation
from zenfront.spaces._architecture import Architecture, Gene
from zenfront.spaces._blocks import classifier, conv_bn_relu
from zenfront.spaces._mobile import inverted_bottleneck
from zenfront.spaces._network import Network
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

STEM_WIDTH, FIRST_WIDTH = 32, 16
WIDTHS = (32, 40, 80, 96, 192)
STRIDES = (2, 2, 2, 1, 2)
LAST_WIDTH, HEAD_WIDTH = 320, 1280
LAST_KERNEL, LAST_EXPANSION = 3, 6
DEPTHS = (2, 3, 4)
KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)
FULL_RESOLUTION = 224
SMALL_SIDE = 64


class Rescale(nn.Module):
    """Bilinear scaling to a fixed size."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = height, width

    def forward(self, x: Tensor) -> Tensor:
        """Scale (N, C, H, W) to (N, C, height, width)."""
        return nn.functional.interpolate(x, self.size, mode="bilinear", align_corners=False)


def _sides(architecture: Architecture, task: Task) -> tuple[int, int]:
    factor = int(architecture["resolution"]) / FULL_RESOLUTION
    return max(1, round(task.height * factor)), max(1, round(task.width * factor))


def _is_small(task: Task) -> bool:
    return min(task.height, task.width) < SMALL_SIDE


def _build(architecture: Architecture, task: Task) -> Network:
    genes: Mapping[str, int] = {name: int(value) for name, value in architecture.genes}
    early = 1 if _is_small(task) else 2
    layers: list[nn.Module] = [
        Rescale(*_sides(architecture, task)),
        nn.Sequential(*conv_bn_relu(task.channels, STEM_WIDTH, 3, early)),
        inverted_bottleneck(STEM_WIDTH, FIRST_WIDTH, 3, 1, 1),
    ]
    w = FIRST_WIDTH
    for unit, (width, stride) in enumerate(zip(WIDTHS, (early, *STRIDES[1:]), strict=True), start=1):
        for layer in range(1, genes[f"d{unit}"] + 1):
            k, expansion = genes[f"k{unit}_{layer}"], genes[f"e{unit}_{layer}"]
            layers.append(inverted_bottleneck(w, width, k, expansion, stride if layer == 1 else 1))
            w = width
    layers.append(inverted_bottleneck(w, LAST_WIDTH, LAST_KERNEL, LAST_EXPANSION, 1))
    layers.append(nn.Sequential(*conv_bn_relu(LAST_WIDTH, HEAD_WIDTH, 1)))
    return Network(nn.Sequential(*layers), classifier(HEAD_WIDTH, task.out_features))


def _canonical(architecture: Architecture) -> Architecture:
    def active(gene: str) -> bool:
        unit, _, layer = gene[1:].partition("_")
        return not layer or int(layer) <= int(architecture[f"d{unit}"])

    def first(gene: str) -> Gene:
        return KERNELS[0] if gene.startswith("k") else EXPANSIONS[0]

    genes = (
        (name, value if name == "resolution" or active(name) else first(name)) for name, value in architecture.genes
    )
    return Architecture(architecture.space, tuple(genes))


def _violation(architecture: Architecture, task: Task) -> str | None:
    height, width = _sides(architecture, task)
    scaled = replace(task, height=height, width=width)
    return resolution_violation(scaled, STRIDES.count(2) - 1 + (0 if _is_small(task) else 2))


def _distributions() -> dict[str, BaseDistribution]:
    genes: dict[str, BaseDistribution] = {"resolution": IntDistribution(128, FULL_RESOLUTION, step=4)}
    for unit in range(1, len(WIDTHS) + 1):
        genes[f"d{unit}"] = CategoricalDistribution(DEPTHS)
        for layer in range(1, DEPTHS[-1] + 1):
            genes[f"k{unit}_{layer}"] = CategoricalDistribution(KERNELS)
            genes[f"e{unit}_{layer}"] = CategoricalDistribution(EXPANSIONS)
    return genes


SPACE = Space(
    name="mobilenet",
    distributions=_distributions(),
    build=_build,
    canonical=_canonical,
    violation=_violation,
    counted=25 * (9**2 + 9**3 + 9**4) ** 5,
    source="Cai et al., Once-for-all, ICLR 2020, arXiv:1908.09791, with the widths of arXiv:1812.00332",
)
