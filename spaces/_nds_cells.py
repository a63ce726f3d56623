"""The cell spaces of "On network design spaces": NASNet, AmoebaNet, PNAS, ENAS and DARTS with a common skeleton.

The network consists of a 3 x 3 stem of 3C channels, `depth` cells, global average pooling and a linear layer. The cells
at one third and two thirds of the depth are reduction cells, which double C. A cell reads the outputs of the two
preceding cells, projected to C channels by 1 x 1 convolutions. Each of its nodes adds two operations on earlier nodes,
and its output concatenates all nodes or those that no other node reads. Layers whose output is not used are not built;
the reference builds them and counts their parameters. Auxiliary heads and drop-path are left to the training recipe.

Source: Radosavovic et al., ICCV 2019, arXiv:1905.13214, sec. 5; facebookresearch/unnas, ``pycls/models/nas``.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.spaces._anynet import resolution_violation
from zenfront.spaces._architecture import Architecture, Gene
from zenfront.spaces._blocks import classifier, conv_bn
from zenfront.spaces._cell import FactorizedReduce, Zero, relu_conv_bn
from zenfront.spaces._genotype import Cell, Edge, Genotype, canonical_cell, parse_genotype, print_genotype
from zenfront.spaces._layers import BatchNorm2d, Conv2d
from zenfront.spaces._network import Network
from zenfront.spaces._outline import outlined
from zenfront.spaces._pasted import require_known
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

WIDTHS = (16, 24, 32)
DEPTHS = (4, 8, 12, 16, 20)
PUBLISHED_WIDTHS, PUBLISHED_DEPTHS = (36, 48), (14,)
"""Sizes at which cells are evaluated: 36 channels and 20 cells on CIFAR-10, 48 and 14 on ImageNet (DARTS, sec. 3)."""
STEM_MULTIPLIER = 3

Concat = Callable[[Cell], list[int]]


def all_nodes(cell: Cell) -> list[int]:
    """Return all nodes except the two inputs."""
    return list(range(2, len(cell) + 2))


def _separable(w: int, k: int, stride: int, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (k // 2)
    depthwise = Conv2d(w, w, k, stride, padding, dilation, groups=w, bias=False)
    return [nn.ReLU(), depthwise, *conv_bn(w, w, 1)]


def _factorized(w: int, k: int, stride: int) -> list[nn.Module]:
    first = Conv2d(w, w, (1, k), (1, stride), (0, k // 2), bias=False)
    second = Conv2d(w, w, (k, 1), (stride, 1), (k // 2, 0), bias=False)
    return [nn.ReLU(), first, second, BatchNorm2d(w)]


def operation(name: str, w: int, stride: int) -> nn.Module:
    """Build the operation with the given name on w channels."""
    k = int(name[-1]) if name[-1].isdecimal() else 1
    match name.rpartition("_")[0]:
        case "sep_conv":
            return nn.Sequential(*_separable(w, k, stride), *_separable(w, k, 1))
        case "dil_conv":
            return nn.Sequential(*_separable(w, k, stride, 2))
        case "dil_sep_conv":
            return nn.Sequential(*_separable(w, k, stride, 2), *_separable(w, k, 1, 2))
        case "conv":
            return relu_conv_bn(w, w, k, stride)
        case "conv_3x1" | "conv_7x1":
            return nn.Sequential(*_factorized(w, k, stride))
        case "max_pool":
            return nn.MaxPool2d(k, stride, k // 2)
        case "avg_pool":
            return nn.AvgPool2d(k, stride, k // 2, count_include_pad=False)
        case "skip":
            return nn.Identity() if stride == 1 else FactorizedReduce(w, w)
    return Zero(stride)


class NodeCell(nn.Module):
    """Cell that reads the outputs of the two preceding cells.

    The output has shape (N, w * len(concat), H, W); a reduction cell halves H and W.
    """

    def __init__(
        self, cell: Cell, concat: Sequence[int], inputs: tuple[int, int], w: int, reduce: bool, after_reduce: bool
    ) -> None:
        super().__init__()
        self.concat = concat
        built = [(node, edge) for node, edges in enumerate(cell, start=2) for edge in _built(edges)]
        self.edges = [(source, node) for node, (source, _) in built]
        self.operations = nn.ModuleList(
            operation(name, w, 2 if reduce and source < 2 else 1) for _, (source, name) in built
        )
        read = reads(cell)
        if 0 in read:
            self.first = FactorizedReduce(inputs[0], w) if after_reduce else relu_conv_bn(inputs[0], w, 1)
        if 1 in read:
            self.second = relu_conv_bn(inputs[1], w, 1)

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        """Compute the output of the cell.

        Args:
            before: Output of the second to last cell.
            last: Output of the last cell.
        """
        nodes: dict[int, Tensor] = {0: self.first(before)} if hasattr(self, "first") else {}
        nodes |= {1: self.second(last)} if hasattr(self, "second") else {}
        for (source, node), apply in zip(self.edges, self.operations, strict=True):
            term = apply(nodes[source])
            nodes[node] = nodes[node] + term if node in nodes else term
        return torch.cat([nodes[node] for node in self.concat], 1)


node_cell = outlined(NodeCell)


def _built(edges: tuple[Edge, Edge]) -> list[Edge]:
    """Return the edges of a node except those with ``none``, or one of these if there are no others."""
    return [edge for edge in edges if edge[1] != "none"] or [(0, "none")]


def reads(cell: Cell) -> set[int]:
    """Return the nodes that the operations of the cell read."""
    return {source for edges in cell for source, _ in _built(edges)}


class _Stack(nn.Module):
    """Stem and cells, where `cells` maps positions to those cells whose output is used."""

    def __init__(self, stem: nn.Module, cells: Mapping[int, nn.Module]) -> None:
        super().__init__()
        self.stem = stem
        self.positions = list(cells)
        self.cells = nn.ModuleList(cells.values())

    def forward(self, x: Tensor) -> Tensor:
        outputs: dict[int, Tensor] = {}
        stem: Tensor = self.stem(x)
        for position, cell in zip(self.positions, self.cells, strict=True):
            before, last = (outputs.get(position - back, stem) for back in (2, 1))
            outputs[position] = cell(before, last)
        return outputs[self.positions[-1]]


def cell_network(genotype: Genotype, concat: Concat, task: Task) -> Network:
    """Build the network described in the docstring of this module."""
    w, stem_width = genotype.width, STEM_MULTIPLIER * genotype.width
    stem = nn.Sequential(*conv_bn(task.channels, stem_width))
    reductions, plan = _reductions(genotype), _plan(genotype)
    used = _used(plan)
    inputs, cells = (stem_width, stem_width), dict[int, nn.Module]()
    for position, cell in enumerate(plan):
        w *= 2 if position in reductions else 1
        if position in used:
            reduce, after_reduce = position in reductions, position - 1 in reductions
            cells[position] = node_cell(cell, tuple(concat(cell)), inputs, w, reduce, after_reduce)
        inputs = inputs[1], w * len(concat(cell))
    return Network(_Stack(stem, cells), classifier(inputs[1], task.out_features))


def _reductions(genotype: Genotype) -> tuple[int, int]:
    return genotype.depth // 3, 2 * genotype.depth // 3


def _plan(genotype: Genotype) -> list[Cell]:
    """Return the cell at each position."""
    reductions = _reductions(genotype)
    return [genotype.reduce if position in reductions else genotype.normal for position in range(genotype.depth)]


def _used(plan: Sequence[Cell]) -> set[int]:
    """Return the positions of the cells that lead to the last one; some cells read only one of their two inputs."""
    used = {len(plan) - 1}
    for position in reversed(range(len(plan))):
        if position in used:
            used |= {position - 2 + node for node in reads(plan[position]) & {0, 1}}
    return {position for position in used if position >= 0}


def _share_cells(genotype: Genotype, module: str) -> str:
    """Name an operation after the position of its cell, its edge, and which of equal edges into the node it is."""
    parts = module.split(".")
    if parts[:2] != ["features", "cells"]:
        return module
    plan = _plan(genotype)
    position = sorted(_used(plan))[int(parts[2])]
    parts[2] = str(position)
    if parts[3] == "operations":
        edges = [(node, edge) for node, edges in enumerate(plan[position], start=2) for edge in _built(edges)]
        node, (source, name) = edge = edges[int(parts[4])]
        again = edges[: int(parts[4])].count(edge)
        parts[3:5] = [f"edge_{source}_{node}={name}" + "'" * again]
    return ".".join(parts)


def _edge_genes(kind: str, node: int, side: str) -> tuple[str, str]:
    return f"{kind}_{node}{side}_from", f"{kind}_{node}{side}_op"


def _genotype(architecture: Architecture, nodes: int) -> Genotype:
    def edge(kind: str, node: int, side: str) -> tuple[int, str]:
        source, name = _edge_genes(kind, node, side)
        return int(architecture[source]), str(architecture[name])

    cells = [
        tuple((edge(kind, node, "a"), edge(kind, node, "b")) for node in range(2, nodes + 2))
        for kind in ("normal", "reduce")
    ]
    return Genotype(cells[0], cells[1], int(architecture["width"]), int(architecture["depth"]))


def _genes(genotype: Genotype) -> dict[str, Gene]:
    genes: dict[str, Gene] = {}
    for kind, cell in (("normal", genotype.normal), ("reduce", genotype.reduce)):
        for node, edges in enumerate(cell, start=2):
            for side, values in zip("ab", edges, strict=True):
                genes |= dict(zip(_edge_genes(kind, node, side), values, strict=True))
    return genes | {"width": genotype.width, "depth": genotype.depth}


def cell_space(name: str, operations: Sequence[str], nodes: int, concat: Concat, source: str) -> Space:
    """Create a space of normal and reduction cells with a width C and a depth.

    Args:
        name: Name in the registry.
        operations: Choices for the operation of every edge.
        nodes: Number of nodes in a cell, not counting its two inputs.
        concat: Function that returns the nodes of a cell that its output concatenates.
        source: Paper and its arXiv number.
    """

    def build(architecture: Architecture, task: Task) -> Network:
        return cell_network(_genotype(architecture, nodes), concat, task)

    def canonical(architecture: Architecture) -> Architecture:
        genotype = _genotype(architecture, nodes)
        normal, reduce = canonical_cell(genotype.normal), canonical_cell(genotype.reduce)
        genes = _genes(Genotype(normal, reduce, genotype.width, genotype.depth))
        return Architecture(architecture.space, tuple(genes.items()))

    def violation(architecture: Architecture, task: Task) -> str | None:
        return resolution_violation(task, 2)

    def sharing(architecture: Architecture, module: str) -> str:
        return _share_cells(_genotype(architecture, nodes), module)

    def notation(architecture: Architecture) -> str:
        genotype = _genotype(architecture, nodes)
        return print_genotype(genotype, (concat(genotype.normal), concat(genotype.reduce)))

    def parse(text: str) -> Mapping[str, object]:
        genotype, stated = parse_genotype(text)
        for cell, ends in zip((genotype.normal, genotype.reduce), stated, strict=True):
            if len(cell) != nodes:
                raise UserError(f"a cell of {name} must have {nodes} nodes, but got {len(cell)}.")
            for place, (_, operation) in enumerate((edge for edges in cell for edge in edges), start=1):
                require_known(operation, operations, f"operation {place} of a cell of {name}")
            if ends != concat(cell):
                raise UserError(f"this cell of {name} must concatenate the nodes {concat(cell)}, but got {ends}.")
        return dict(_genes(genotype))

    distributions: dict[str, BaseDistribution] = {}
    for kind, node, side in product(("normal", "reduce"), range(2, nodes + 2), "ab"):
        choices = CategoricalDistribution(tuple(range(node))), CategoricalDistribution(tuple(operations))
        distributions |= dict(zip(_edge_genes(kind, node, side), choices, strict=True))
    return Space(
        name=name,
        distributions=distributions
        | {"width": CategoricalDistribution(WIDTHS), "depth": CategoricalDistribution(DEPTHS)},
        build=build,
        canonical=canonical,
        violation=violation,
        notation=notation,
        parse=parse,
        sharing=sharing,
        published={"width": PUBLISHED_WIDTHS, "depth": PUBLISHED_DEPTHS},
        source=source,
    )
