"""Cells with operations on their edges, as in NAS-Bench-201: node i = sum over j < i of op_ij(node j)."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._blocks import conv_bn
from zenfront.spaces._layers import BatchNorm2d, Conv2d
from zenfront.spaces._pasted import compact, literal

Edge = tuple[int, int]
EDGES: tuple[Edge, ...] = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NODES = range(4)


def gene(edge: Edge) -> str:
    """Return the name of the gene of an edge."""
    return f"edge_{edge[0]}_{edge[1]}"


class EdgeCell(nn.Module):
    """Cell with the given operation on each edge. Node 0 is the input and the last node is the output."""

    def __init__(self, operations: Mapping[Edge, nn.Module]) -> None:
        super().__init__()
        self.into: dict[int, list[tuple[int, str]]] = {}
        self.operations = nn.ModuleDict()
        for edge, operation in operations.items():
            self.operations[gene(edge)] = operation
            self.into.setdefault(edge[1], []).append((edge[0], gene(edge)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the output shape of the operations."""
        nodes = {0: x}
        for target, sources in sorted(self.into.items()):
            terms = [self.operations[name](nodes[source]) for source, name in sources]
            nodes[target] = sum(terms[1:], start=terms[0])
        return nodes[max(nodes)]


def share_edges(architecture: Architecture, module: str) -> str:
    """Name the modules of an `EdgeCell` after the edge and its operation, as `Space.sharing` does."""
    parts = module.split(".")
    return ".".join(f"{part}={architecture[part]}" if part in architecture.mapping else part for part in parts)


class Zero(nn.Module):
    """Multiplication by 0, which stands for an absent operation at a node without other inputs."""

    def __init__(self, stride: int = 1, w_out: int | None = None) -> None:
        super().__init__()
        self.stride = stride
        self.w_out = w_out

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, w_out or C, ceil(H / stride), ceil(W / stride))."""
        zero = x[:, :, :: self.stride, :: self.stride] * 0
        return zero if self.w_out is None else zero[:, :1].expand(-1, self.w_out, -1, -1)


class FactorizedReduce(nn.Module):
    """Factorised reduction: ReLU, two concatenated 1 x 1 convolutions of stride 2, and BN.

    The second convolution reads the input shifted by one pixel.
    """

    def __init__(self, w_in: int, w_out: int) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.even = Conv2d(w_in, w_out // 2, 1, 2, bias=False)
        self.odd = Conv2d(w_in, w_out - w_out // 2, 1, 2, bias=False)
        self.norm = BatchNorm2d(w_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, w_in, H, W) to (N, w_out, ceil(H / 2), ceil(W / 2))."""
        x = self.act(x)
        shifted = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.norm(torch.cat([self.even(x), self.odd(shifted)], 1))  # type: ignore[no-any-return]


def relu_conv_bn(w_in: int, w_out: int, k: int, stride: int = 1) -> nn.Sequential:
    """Build ReLU, a k x k convolution without bias, and batch normalisation, the order used in cell-based spaces."""
    return nn.Sequential(nn.ReLU(), *conv_bn(w_in, w_out, k, stride))


def select_edges(names: Mapping[Edge, str], absent: str = "none") -> dict[Edge, str]:
    """Return the edges to build.

    These are all edges with an operation, and the absent edge from node 0 into each node that has no other input.
    """
    fed = {target for (_, target), name in names.items() if name != absent}
    kept = {edge: name for edge, name in names.items() if name != absent}
    kept |= {edge: name for edge, name in names.items() if edge[1] not in fed and edge[0] == 0}
    return {edge: kept[edge] for edge in names if edge in kept}


def live_edges(edges: Iterable[Edge], output: int) -> set[Edge]:
    """Return the edges that lie on a path from node 0 to the output."""
    edges = sorted(edges)
    reached, leading = {0}, {output}
    for source, target in edges:
        if source in reached:
            reached.add(target)
    for source, target in sorted(edges, key=lambda edge: -edge[0]):
        if target in leading:
            leading.add(source)
    return {(source, target) for source, target in edges if source in reached and target in leading}


def print_edges(names: Mapping[Edge, str]) -> str:
    """Write a cell as ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

    Each group stands for a node, and each entry for the operation and the source node of an edge.
    """
    groups: dict[int, str] = {}
    for source, target in EDGES:
        groups[target] = groups.get(target, "|") + f"{names[source, target]}~{source}|"
    return "+".join(groups.values())


def parse_edges(text: str, indexed: Sequence[str] = ()) -> dict[Edge, str]:
    """Parse a cell in the notation of `print_edges`, or in another one in which such cells are written.

    These are NATS-Bench's ``Structure(4 nodes with |...|)`` and its nested lists ``[(('op', 0),), (('op', 0), ('op',
    1)), ...]``, and NASLib's indices of operations, ``(4, 0, 3, 1, 4, 3)``.

    Args:
        text: The cell.
        indexed: Operations in the order of NASLib's indices; none if it has no indices for the space.

    Raises:
        UserError: The text has none of these forms; the message names the first part that does not fit.
    """
    bare = compact(text)
    bare = bare.removeprefix(f"Structure({len(NODES)}nodeswith").removesuffix(")") if "nodeswith" in bare else bare
    if bare[:1] in ("(", "["):
        return _parse_values(bare, text, indexed)
    found: dict[Edge, str] = {}
    for target, group in zip_longest(NODES[1:], bare.split("+")):
        parts = [part for part in (group or "").split("|") if part]
        if target is None or len(parts) != target:
            raise _misfit(text, f"node {target} needs {target} operations" if target else "there are three nodes")
        for source, part in enumerate(parts):
            name, _, number = part.partition("~")
            if number != str(source):
                raise _misfit(text, f"operation {source + 1} of node {target} must be op~{source}, not {part!r}")
            found[source, target] = name
    return found


def _parse_values(bare: str, text: str, indexed: Sequence[str]) -> dict[Edge, str]:
    try:
        values = literal(bare)
    except ValueError as error:
        raise _misfit(text, "it is not a list") from error
    if all(isinstance(value, int) for value in values):
        if len(values) != len(EDGES) or not all(0 <= value < len(indexed) for value in values):
            raise _misfit(text, f"NASLib's indices are {len(EDGES)} numbers from 0 to {len(indexed) - 1}")
        return {edge: indexed[value] for edge, value in zip(sorted(EDGES), values, strict=True)}
    found: dict[Edge, str] = {}
    for target, node in zip_longest(NODES[1:], values):
        if target is None or not isinstance(node, list | tuple) or len(node) != target:
            raise _misfit(text, f"node {target} needs {target} pairs ('op', source)" if target else "too many nodes")
        for pair in node:
            if not isinstance(pair, list | tuple) or len(pair) != 2 or pair[1] not in range(target):
                raise _misfit(text, f"{pair!r} of node {target} must be a pair ('op', source)")
            found[pair[1], target] = str(pair[0])
    if len(found) != len(EDGES):
        raise _misfit(text, "each source must be named once")
    return {edge: found[edge] for edge in EDGES}


def _misfit(text: str, reason: str) -> UserError:
    return UserError(f"a cell must have the form |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, but got {text!r}: {reason}.")
