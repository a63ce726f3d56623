"""NAS-Bench-101: a module is a directed acyclic graph of at most seven vertices and nine edges.

Each interior vertex carries an operation and adds its inputs; the output vertex concatenates its inputs. Edges from the
input vertex are projected by a 1 x 1 convolution first. The channels of the output are divided evenly among the
vertices that lead to it, and the first vertices get one channel more if there is a remainder. The network has three
stacks of three modules with 128, 256 and 512 channels, separated by 2 x 2 max pooling.

Vertices that lie on no path from input to output are pruned. The canonical graph is the one in the benchmark: of all
isomorphic graphs, the first in its enumeration by edges and then by operations. Only this graph is built, because the
order of the vertices determines which of them get a remaining channel. There are 423,624 graphs up to isomorphism. The
genes, 21 edges and five operations, can also encode graphs without a path or with more than nine edges, which are
violations.
"""

import ast
import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.spaces._anynet import resolution_violation
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._blocks import classifier, conv_bn_relu
from zenfront.spaces._cell import Edge, live_edges
from zenfront.spaces._network import Network
from zenfront.spaces._pasted import call, compact, literal, require_known
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

VERTICES = 7
MAX_EDGES = 9
OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
EDGES = tuple((source, target) for target in range(1, VERTICES) for source in range(target))
STEM_WIDTH = 128
STACKS = 3
MODULES = 3

Graph = tuple[frozenset[Edge], tuple[str, ...]]
"""A pruned graph: the edges among vertices 0, ..., V - 1, and the operations of the V - 2 interior vertices."""


def _prune(edges: set[Edge], operations: Sequence[str]) -> Graph:
    """Return the graph restricted to vertices on a path from first to last, which is empty if there is no path."""
    output = len(operations) + 1
    live = live_edges(edges, output)
    kept = sorted({vertex for edge in live for vertex in edge})
    number = {vertex: index for index, vertex in enumerate(kept)}
    renumbered = frozenset((number[source], number[target]) for source, target in live)
    return renumbered, tuple(operations[vertex - 1] for vertex in kept[1:-1])


def _rank(edges: frozenset[Edge], operations: Sequence[str]) -> tuple[int, list[int]]:
    """Return the sort key of the enumeration in the benchmark: edges as bits, then operations.

    Edge (s, t) is bit s + t (t - 1) / 2.
    """
    bits = sum(1 << source + target * (target - 1) // 2 for source, target in edges)
    return bits, [OPERATIONS.index(operation) for operation in operations]


def _first_isomorphic(graph: Graph) -> Graph:
    edges, operations = graph
    candidates = []
    for order in permutations(range(1, len(operations) + 1)):
        place = {0: 0, len(operations) + 1: len(operations) + 1}
        place |= {vertex: index for index, vertex in enumerate(order, start=1)}
        moved = frozenset((place[source], place[target]) for source, target in edges)
        if all(source < target for source, target in moved):
            candidates.append((moved, tuple(operations[vertex - 1] for vertex in order)))
    return min(candidates, key=lambda candidate: _rank(*candidate))


def _graph(architecture: Architecture) -> Graph:
    edges = {edge for edge in EDGES if architecture[f"edge_{edge[0]}_{edge[1]}"] == 1}
    return _prune(edges, [str(architecture[f"op_{vertex}"]) for vertex in range(1, VERTICES - 1)])


def _genes(graph: Graph) -> dict[str, int | str]:
    """Return the genes of a pruned graph: the output becomes the last vertex, and missing vertices have no edges."""
    edges, operations = graph
    output = len(operations) + 1
    moved = {(source, VERTICES - 1 if target == output else target) for source, target in edges}
    genes: dict[str, int | str] = {f"edge_{s}_{t}": int((s, t) in moved) for s, t in EDGES}
    padded = [*operations, *[OPERATIONS[0]] * (VERTICES - 2 - len(operations))]
    return genes | {f"op_{vertex}": operation for vertex, operation in enumerate(padded, start=1)}


def _canonical(architecture: Architecture) -> Architecture:
    return Architecture(architecture.space, tuple(_genes(_first_isomorphic(_graph(architecture))).items()))


def graph_hash(architecture: Architecture) -> str:
    """Compute the graph hash of the benchmark, which is equal for isomorphic graphs and is the key of its table.

    Source: Ying et al., ICML 2019, ``graph_util.hash_module``.
    """
    edges, operations = _graph(architecture)
    labels = [-1, *[OPERATIONS.index(operation) for operation in operations], -2]
    count = len(labels)
    into = [[s for s, t in edges if t == vertex] for vertex in range(count)]
    out_of = [[t for s, t in edges if s == vertex] for vertex in range(count)]
    hashes = [_md5(str((len(out_of[v]), len(into[v]), labels[v]))) for v in range(count)]
    for _ in range(count):
        before = ["".join(sorted(hashes[w] for w in into[v])) for v in range(count)]
        after = ["".join(sorted(hashes[w] for w in out_of[v])) for v in range(count)]
        hashes = [_md5(f"{before[v]}|{after[v]}|{hashes[v]}") for v in range(count)]
    return _md5(str(sorted(hashes)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _widths(graph: Graph, width: int) -> list[int]:
    """Compute the number of channels of every vertex; the input gets 0 and the output `width`."""
    edges, operations = graph
    output = len(operations) + 1
    widths = [0] * output + [width]
    last = [vertex for vertex in range(1, output) if (vertex, output) in edges]
    for place, vertex in enumerate(last):
        widths[vertex] = width // len(last) + (place < width % len(last))
    for vertex in reversed(range(1, output)):
        if vertex not in last:
            widths[vertex] = max(widths[target] for source, target in edges if source == vertex)
    return widths


class Module(nn.Module):
    """A module (N, w_in, H, W) -> (N, width, H, W) with the given graph."""

    def __init__(self, graph: Graph, w_in: int, width: int) -> None:
        super().__init__()
        self.edges, operations = graph
        self.output = len(operations) + 1
        self.widths = _widths(graph, width)
        self.operations = nn.ModuleList(
            _operation(name, self.widths[vertex]) for vertex, name in enumerate(operations, start=1)
        )
        self.projections = nn.ModuleDict(
            {
                str(target): nn.Sequential(*conv_bn_relu(w_in, self.widths[target], 1))
                for source, target in sorted(self.edges)
                if source == 0
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, w_in, H, W) to (N, width, H, W)."""
        vertices: dict[int, Tensor] = {}
        for vertex, operation in enumerate(self.operations, start=1):
            terms = [value[:, : self.widths[vertex]] for s, value in vertices.items() if (s, vertex) in self.edges]
            vertices[vertex] = operation(self._sum(terms, x, vertex))
        last = [value for vertex, value in vertices.items() if (vertex, self.output) in self.edges]
        return self._sum([torch.cat(last, 1)] if last else [], x, self.output)

    def _sum(self, terms: list[Tensor], x: Tensor, vertex: int) -> Tensor:
        if (0, vertex) in self.edges:
            terms = [*terms, self.projections[str(vertex)](x)]
        return sum(terms[1:], start=terms[0])


def _operation(name: str, width: int) -> nn.Module:
    match name:
        case "conv3x3-bn-relu":
            return nn.Sequential(*conv_bn_relu(width, width, 3))
        case "conv1x1-bn-relu":
            return nn.Sequential(*conv_bn_relu(width, width, 1))
    return nn.MaxPool2d(3, 1, 1)


def _build(architecture: Architecture, task: Task) -> Network:
    graph = _first_isomorphic(_graph(architecture))
    layers: list[nn.Module] = [nn.Sequential(*conv_bn_relu(task.channels, STEM_WIDTH))]
    w_in = STEM_WIDTH
    for stack in range(STACKS):
        width = STEM_WIDTH * 2**stack
        if stack > 0:
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
        for _ in range(MODULES):
            layers.append(Module(graph, w_in, width))
            w_in = width
    return Network(nn.Sequential(*layers), classifier(w_in, task.out_features))


def _violation(architecture: Architecture, task: Task) -> str | None:
    edges, _ = _graph(architecture)
    if not edges:
        return "no path leads from the input to the output"
    if len(edges) > MAX_EDGES:
        return f"it has {len(edges)} edges, but a module of NAS-Bench-101 can have at most {MAX_EDGES}"
    return resolution_violation(task, STACKS - 1)


def _notation(architecture: Architecture) -> str:
    edges, operations = _graph(architecture)
    vertices = range(len(operations) + 2)
    matrix = [[int((source, target) in edges) for target in vertices] for source in vertices]
    return json.dumps({"matrix": matrix, "ops": ["input", *operations, "output"]})


def _parse(text: str) -> Mapping[str, object]:
    """Parse a module in JSON, in Python's spelling, or as ``ModelSpec(matrix=[...], ops=[...])``."""
    try:
        value = _module(compact(text))
        matrix, operations = [list(row) for row in value["matrix"]], list(value["ops"])
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f'a module must have the form {{"matrix": [[0, 1], ...], "ops": [...]}}, but got {text!r}.'
        ) from error
    count = len(operations)
    if not 2 <= count <= VERTICES or [len(row) for row in matrix] != [count] * count:
        raise UserError(f"a module must have 2 to {VERTICES} vertices and a square matrix, but got {text!r}.")
    for vertex, name in enumerate(operations[1:-1], start=2):
        require_known(name, OPERATIONS, f"ops, entry {vertex}")
    edges = {(s, t) for s, row in enumerate(matrix) for t, entry in enumerate(row) if entry}
    if wrong := sorted((s, t) for s, t in edges if s >= t):
        s, t = wrong[0]
        raise UserError(
            f"the matrix of a module must be upper triangular, but row {s + 1}, column {t + 1} is not 0 in {matrix}."
        )
    return _genes((frozenset(edges), tuple(operations[1:-1])))


def _module(text: str) -> Mapping[str, Any]:
    if text.startswith("{"):
        value: Mapping[str, Any] = literal(text)
        return value
    _, unnamed, parts = call(text)
    if unnamed:
        raise ValueError("matrix= and ops= must be named")
    return {name: literal(ast.unparse(part)) for name, part in parts.items()}


def _distributions() -> dict[str, BaseDistribution]:
    genes: dict[str, BaseDistribution] = {f"edge_{s}_{t}": CategoricalDistribution((0, 1)) for s, t in EDGES}
    return genes | {f"op_{vertex}": CategoricalDistribution(OPERATIONS) for vertex in range(1, VERTICES - 1)}


SPACE = Space(
    name="nasbench101",
    distributions=_distributions(),
    build=_build,
    canonical=_canonical,
    violation=_violation,
    notation=_notation,
    parse=_parse,
    counted=423_624,
    source="Ying et al., NAS-Bench-101, ICML 2019, arXiv:1902.09635",
)
