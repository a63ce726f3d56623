"""The macro space of TransNAS-Bench-101: four to six modules of two residual blocks, written as ``64-1234-basic``.

The code of a module is 1: unchanged shape, 2: doubled channels, 3: halved resolution, 4: both. After the stem, the
channels must double one to three times and the resolution must halve one to four times, which leaves 3,256 sequences;
all others are violations. The fifth and the sixth module may be absent (0).
"""

import re
from collections.abc import Mapping

from optuna.distributions import CategoricalDistribution
from torch import nn

from zenfront.pipeline.errors import UserError
from zenfront.spaces._anynet import resolution_violation
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._blocks import Residual, shortcut
from zenfront.spaces._cell import relu_conv_bn
from zenfront.spaces._network import Network
from zenfront.spaces._pasted import compact
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task
from zenfront.spaces._transnas import STEM_HALVINGS, doubles, halves, transnas_network

MODULES = 6
LEAST_MODULES = 4
DOUBLINGS = range(1, 4)
HALVINGS = range(1, 5)
ABSENT = "0"
FORM = re.compile(rf"64-([1-4]{{{LEAST_MODULES},{MODULES}}})-basic")


def _codes(architecture: Architecture) -> str:
    return "".join(str(code) for _, code in architecture.genes).replace(ABSENT, "")


def _genes(codes: str) -> dict[str, str]:
    return {f"module_{i}": code for i, code in enumerate(codes.ljust(MODULES, ABSENT), start=1)}


def _canonical(architecture: Architecture) -> Architecture:
    return Architecture(architecture.space, tuple(_genes(_codes(architecture)).items()))


def _block(w_in: int, w_out: int, stride: int) -> Residual:
    branch = nn.Sequential(relu_conv_bn(w_in, w_out, 3, stride), relu_conv_bn(w_out, w_out, 3))
    return Residual(branch, shortcut(w_in, w_out, stride))


def _build(architecture: Architecture, task: Task) -> Network:
    return transnas_network(_codes(architecture), _block, task)


def _violation(architecture: Architecture, task: Task) -> str | None:
    codes = _codes(architecture)
    doublings, halvings = sum(map(doubles, codes)), sum(map(halves, codes))
    if doublings not in DOUBLINGS:
        return f"it doubles the channels {doublings} times, but must do so 1 to 3 times"
    if halvings not in HALVINGS:
        return f"it halves the resolution {halvings} times after the stem, but must do so 1 to 4 times"
    return resolution_violation(task, STEM_HALVINGS + halvings)


def _notation(architecture: Architecture) -> str:
    return f"64-{_codes(architecture)}-basic"


def _parse(text: str) -> Mapping[str, object]:
    found = FORM.fullmatch(compact(text))
    if found is None:
        raise UserError(f"an architecture of transnas_macro must have the form 64-1234-basic, but got {text!r}.")
    return _genes(found[1])


SPACE = Space(
    name="transnas_macro",
    distributions={
        f"module_{i}": CategoricalDistribution(("1", "2", "3", "4") if i <= LEAST_MODULES else (ABSENT, *"1234"))
        for i in range(1, MODULES + 1)
    },
    build=_build,
    canonical=_canonical,
    violation=_violation,
    notation=_notation,
    parse=_parse,
    counted=3256,
    source="Duan et al., TransNAS-Bench-101, CVPR 2021, arXiv:2105.11871, macro",
)
