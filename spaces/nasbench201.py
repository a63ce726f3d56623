"""NAS-Bench-201, the topology space of NATS-Bench: a cell of four nodes with an operation on each of its six edges.

The network has a stem of 16 channels and three stages of five cells with 16, 32 and 64 channels, separated by residual
blocks of stride 2. Two cells are isomorphic if the official ``to_unique_str`` writes them identically: ``none`` and any
operation on zero give zero, ``skip_connect`` returns its input, the order of the terms of a sum does not matter, and
operations that do not lead to the output are ignored. This leaves 6,466 of 15,625 cells. The canonical cell is the
cheapest of its class. Two limitations of the official form are kept, because the field uses its classes: a sum of zeros
is not recognised as zero, and a shared node is written out at each use, so that a class may contain the same expression
with shared and with separate weights.
"""

from functools import cache
from itertools import product

from optuna.distributions import CategoricalDistribution

from zenfront.spaces._anynet import resolution_violation
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._cell import EDGES, Edge, gene, parse_edges, print_edges, share_edges
from zenfront.spaces._nats import OPERATIONS, nats_network
from zenfront.spaces._network import Network
from zenfront.spaces._pasted import require_known
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

WIDTHS = (16, 32, 32, 64, 64)
CELLS = 5
COSTLIEST_FIRST = ("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect")
ZERO = "#"
NASLIB = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""Operations in the order of NASLib's indices."""

Cell = tuple[str, ...]


def _expression(cell: Cell) -> str:
    """Write the expression that the output node computes in a form that is identical for isomorphic cells."""
    nodes = {0: "0"}
    sums: dict[int, list[str]] = {}
    for (source, target), name in zip(EDGES, cell, strict=True):
        value = nodes[source]
        term = value if name == "skip_connect" else f"({value})@{name}"
        sums.setdefault(target, []).append(ZERO if name == "none" or value == ZERO else term)
        nodes[target] = "+".join(sorted(sums[target]))
    return nodes[3]


def _cost(cell: Cell) -> tuple[int, ...]:
    return tuple(cell.count(name) for name in COSTLIEST_FIRST)


@cache
def _representatives() -> dict[Cell, Cell]:
    """Return the canonical cell of each of the 15,625 cells."""
    expressions = {cell: _expression(cell) for cell in product(OPERATIONS, repeat=len(EDGES))}
    cheapest: dict[str, Cell] = {}
    for cell in sorted(expressions, key=lambda cell: (_cost(cell), cell)):
        cheapest.setdefault(expressions[cell], cell)
    return {cell: cheapest[expression] for cell, expression in expressions.items()}


def _names(architecture: Architecture) -> dict[Edge, str]:
    return {edge: str(architecture[gene(edge)]) for edge in EDGES}


def _canonical(architecture: Architecture) -> Architecture:
    representative = _representatives()[tuple(_names(architecture).values())]
    genes = ((gene(edge), name) for edge, name in zip(EDGES, representative, strict=True))
    return Architecture(architecture.space, tuple(genes))


def _build(architecture: Architecture, task: Task) -> Network:
    return nats_network(_names(architecture), WIDTHS, CELLS, task)


def _violation(architecture: Architecture, task: Task) -> str | None:
    return resolution_violation(task, 2)


def _notation(architecture: Architecture) -> str:
    return print_edges(_names(architecture))


def _parse(text: str) -> dict[str, object]:
    names = parse_edges(text, NASLIB)
    return {
        gene(edge): require_known(name, OPERATIONS, f"edge {edge[0]}-{edge[1]} of {text!r}")
        for edge, name in names.items()
    }


SPACE = Space(
    name="nasbench201",
    distributions={gene(edge): CategoricalDistribution(OPERATIONS) for edge in EDGES},
    build=_build,
    canonical=_canonical,
    violation=_violation,
    notation=_notation,
    parse=_parse,
    sharing=share_edges,
    source="Dong and Yang, NAS-Bench-201, ICLR 2020, arXiv:2001.00326",
)
