"""The cell space of TransNAS-Bench-101: an operation on each of six edges, written as ``64-41414-1_02_333``.

The operations are 0: none, 1: skip connection, 2: 1 x 1 convolution, 3: 3 x 3 convolution. The groups of digits list
the operations into nodes 1, 2 and 3 from all earlier nodes. The network has five modules of two cells. The first, third
and fifth module double the channels and halve the resolution, on the edges from the input of the cell, where a skip
connection becomes a factorised reduction.

In the canonical cell, edges that lie on no path from input to output are 0. Of two cells that differ only in the order
of nodes 1 and 2, the one with the lexicographically smaller operations is canonical.
"""

import re
from collections.abc import Mapping

from optuna.distributions import CategoricalDistribution
from torch import nn

from zenfront.pipeline.errors import UserError
from zenfront.spaces._anynet import resolution_violation
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._cell import (
    EDGES,
    Edge,
    EdgeCell,
    FactorizedReduce,
    Zero,
    gene,
    live_edges,
    relu_conv_bn,
    select_edges,
    share_edges,
)
from zenfront.spaces._network import Network
from zenfront.spaces._pasted import compact
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task
from zenfront.spaces._transnas import STEM_HALVINGS, halves, transnas_network

SKELETON = "41414"
NONE = "0"
FORM = re.compile(rf"64-{SKELETON}-([0-3])_([0-3][0-3])_([0-3][0-3][0-3])")
SWAP = {1: 2, 2: 1}


def _operations(architecture: Architecture) -> dict[Edge, str]:
    return {edge: str(architecture[gene(edge)]) for edge in EDGES}


def _canonical(architecture: Architecture) -> Architecture:
    operations = _operations(architecture)
    live = live_edges((edge for edge, code in operations.items() if code != NONE), EDGES[-1][1])
    kept = {edge: operations[edge] if edge in live else NONE for edge in EDGES}
    forms = [tuple(kept.values())]
    if kept[1, 2] == NONE:
        swapped = {(SWAP.get(s, s), SWAP.get(t, t)): code for (s, t), code in kept.items()}
        forms.append(tuple(swapped.get(edge, NONE) for edge in EDGES))
    genes = ((gene(edge), code) for edge, code in zip(EDGES, min(forms), strict=True))
    return Architecture(architecture.space, tuple(genes))


def _operation(code: str, w_in: int, w_out: int, stride: int) -> nn.Module:
    match code:
        case "3":
            return relu_conv_bn(w_in, w_out, 3, stride)
        case "2":
            return relu_conv_bn(w_in, w_out, 1, stride)
        case "1":
            return nn.Identity() if stride == 1 and w_in == w_out else FactorizedReduce(w_in, w_out)
    return Zero(stride, w_out)


def _build(architecture: Architecture, task: Task) -> Network:
    built = select_edges(_operations(architecture), NONE)

    def cell(w_in: int, w_out: int, stride: int) -> EdgeCell:
        return EdgeCell(
            {
                edge: _operation(code, w_in, w_out, stride) if edge[0] == 0 else _operation(code, w_out, w_out, 1)
                for edge, code in built.items()
            }
        )

    return transnas_network(SKELETON, cell, task)


def _violation(architecture: Architecture, task: Task) -> str | None:
    return resolution_violation(task, STEM_HALVINGS + sum(map(halves, SKELETON)))


def _notation(architecture: Architecture) -> str:
    groups: dict[int, str] = {}
    for (_, target), code in _operations(architecture).items():
        groups[target] = groups.get(target, "") + code
    return f"64-{SKELETON}-{'_'.join(groups.values())}"


def _parse(text: str) -> Mapping[str, object]:
    found = FORM.fullmatch(compact(text))
    if found is None:
        raise UserError(
            f"an architecture of transnas_micro must have the form 64-{SKELETON}-1_02_333, but got {text!r}."
        )
    return {gene(edge): code for edge, code in zip(EDGES, "".join(found.groups()), strict=True)}


SPACE = Space(
    name="transnas_micro",
    distributions={gene(edge): CategoricalDistribution(("0", "1", "2", "3")) for edge in EDGES},
    build=_build,
    canonical=_canonical,
    violation=_violation,
    notation=_notation,
    parse=_parse,
    sharing=share_edges,
    source="Duan et al., TransNAS-Bench-101, CVPR 2021, arXiv:2105.11871, cell level",
)
