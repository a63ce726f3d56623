"""NAS-Bench-Macro: eight layers, each an identity or an inverted bottleneck (MB), written as one digit per layer.

The digits are 0: identity, 1: MB 3 x 3 with expansion 3, 2: MB 5 x 5 with expansion 6. The network has a stem of 32
channels, stages of 2, 3 and 3 layers, and a 1 x 1 convolution to 1,280 channels. The first layer of a stage doubles the
channels with stride 2; there the identity is a 1 x 1 convolution with BN.
"""

import re
from collections.abc import Mapping

from optuna.distributions import CategoricalDistribution
from torch import nn

from zenfront.pipeline.errors import UserError
from zenfront.spaces._anynet import resolution_violation
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._blocks import classifier, conv_bn_relu, shortcut
from zenfront.spaces._mobile import inverted_bottleneck
from zenfront.spaces._network import Network
from zenfront.spaces._pasted import compact
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

OPERATIONS = ("identity", "mb_3x3_e3", "mb_5x5_e6")
STAGES = (2, 3, 3)
STEM_WIDTH = 32
HEAD_WIDTH = 1280


def _layer(name: str, w_in: int, w_out: int, stride: int) -> nn.Module:
    if name == "identity":
        return shortcut(w_in, w_out, stride)
    k, expansion = (3, 3) if name == "mb_3x3_e3" else (5, 6)
    return inverted_bottleneck(w_in, w_out, k, expansion, stride)


def _build(architecture: Architecture, task: Task) -> Network:
    names = iter([str(value) for _, value in architecture.genes])
    layers: list[nn.Module] = [nn.Sequential(*conv_bn_relu(task.channels, STEM_WIDTH))]
    w = STEM_WIDTH
    for depth in STAGES:
        layers.append(_layer(next(names), w, 2 * w, 2))
        w *= 2
        layers += [_layer(next(names), w, w, 1) for _ in range(depth - 1)]
    layers.append(nn.Sequential(*conv_bn_relu(w, HEAD_WIDTH, 1)))
    return Network(nn.Sequential(*layers), classifier(HEAD_WIDTH, task.out_features))


def _violation(architecture: Architecture, task: Task) -> str | None:
    return resolution_violation(task, len(STAGES))


def _sharing(architecture: Architecture, module: str) -> str:
    """Name a layer after its operation."""
    features, _, rest = module.partition(".")
    place, _, inner = rest.partition(".")
    chosen = architecture.mapping.get(f"layer_{place}") if features == "features" else None
    return module if chosen is None else f"{features}.layer_{place}={chosen}.{inner}"


def _notation(architecture: Architecture) -> str:
    return "".join(str(OPERATIONS.index(str(value))) for _, value in architecture.genes)


def _parse(text: str) -> Mapping[str, object]:
    if not re.fullmatch(rf"[0-2]{{{sum(STAGES)}}}", compact(text)):
        raise UserError(
            f"an architecture of nasbench_macro must consist of {sum(STAGES)} digits from 0 to 2, such as 01201201, "
            f"but got {text!r}."
        )
    return {f"layer_{i}": OPERATIONS[int(digit)] for i, digit in enumerate(compact(text), start=1)}


SPACE = Space(
    name="nasbench_macro",
    distributions={f"layer_{i}": CategoricalDistribution(OPERATIONS) for i in range(1, sum(STAGES) + 1)},
    build=_build,
    violation=_violation,
    notation=_notation,
    parse=_parse,
    sharing=_sharing,
    source="Su et al., CVPR 2021, arXiv:2103.11922",
)
