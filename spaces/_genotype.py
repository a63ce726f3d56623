"""Genotypes: cells whose nodes add two operations on earlier nodes, and their string form."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from zenfront.pipeline.errors import UserError
from zenfront.spaces._pasted import call, compact, literal

Edge = tuple[int, str]
"""Input node of an operation, and the operation. Nodes 0 and 1 are the outputs of the two preceding cells."""
Cell = tuple[tuple[Edge, Edge], ...]
"""Two edges into each of the nodes 2, 3, ..."""

CONCAT = re.compile(r"[\[(][\d, ]*[\])]|range\(\d+, *\d+\)")
PARTS = ("normal", "normal_concat", "reduce", "reduce_concat")


@dataclass(frozen=True)
class Genotype:
    """A normal and a reduction cell, with the size of the network.

    Attributes:
        normal: The normal cell.
        reduce: The reduction cell.
        width: Number of channels C of the first cells.
        depth: Number of cells.
    """

    normal: Cell
    reduce: Cell
    width: int
    depth: int


def canonical_cell(cell: Cell) -> Cell:
    """Return the lexicographically first of all cells that differ only in the order of nodes or of edges of a node.

    The input of ``none`` has no effect and is set to node 0.
    """
    read = tuple(tuple((0 if name == "none" else source, name) for source, name in edges) for edges in cell)
    return min(_orders(read, {0: 0, 1: 1}))


def _orders(cell: tuple[tuple[Edge, ...], ...], place: dict[int, int]) -> Iterator[Cell]:
    """Yield all relabelled cells in which each node is the smallest of those whose inputs have all been placed."""
    ready = {
        node: tuple(sorted((place[source], name) for source, name in edges))
        for node, edges in enumerate(cell, start=2)
        if node not in place and all(source in place for source, _ in edges)
    }
    if not ready:
        yield ()
        return
    least = min(ready.values())
    for node in [node for node, edges in ready.items() if edges == least]:
        for rest in _orders(cell, place | {node: len(place)}):
            yield ((least[0], least[1]), *rest)


def loose_ends(cell: Cell) -> list[int]:
    """Return the nodes that no other node reads."""
    read = {source for edges in cell for source, _ in edges}
    return [node for node in range(2, len(cell) + 2) if node not in read]


def print_genotype(genotype: Genotype, concat: tuple[list[int], list[int]]) -> str:
    """Write a genotype as in DARTS: ``Genotype(normal=[('sep_conv_3x3', 0), ...], ...), width=16, depth=8``."""
    cells = [
        [(name, source) for edges in cell for source, name in edges] for cell in (genotype.normal, genotype.reduce)
    ]
    return (
        f"Genotype(normal={cells[0]}, normal_concat={concat[0]}, reduce={cells[1]}, reduce_concat={concat[1]}), "
        f"width={genotype.width}, depth={genotype.depth}"
    )


def parse_genotype(text: str) -> tuple[Genotype, tuple[list[int], list[int]]]:
    """Parse a genotype and the nodes that its two cells concatenate.

    Blanks and line breaks may stand anywhere, and ``genotype =`` before it. Width and depth default to those of the
    DARTS search: 16 channels and 8 cells.

    Raises:
        UserError: The text does not have the form of `print_genotype`; the message names the part that does not fit.
    """
    try:
        _, cells, sizes = call(f"genotype({compact(text)})")
        name, unnamed, parts = call(ast.unparse(cells[0]))
    except (ValueError, IndexError) as error:
        raise _misfit(text, "it is no such call") from error
    if name != "Genotype" or len(cells) > 1 or unnamed or not set(sizes) <= {"width", "depth"}:
        raise _misfit(text, "width= and depth= alone may follow it")
    if set(parts) != set(PARTS):
        raise _misfit(text, f"it must have {', '.join(PARTS)}, but has {', '.join(parts)}")
    normal, reduce = (_cell(ast.unparse(parts[part]), part) for part in ("normal", "reduce"))
    width, depth = (_number(sizes, size, default) for size, default in (("width", 16), ("depth", 8)))
    concat = [_concat(ast.unparse(parts[part]), part) for part in ("normal_concat", "reduce_concat")]
    return Genotype(normal, reduce, width, depth), (concat[0], concat[1])


def _misfit(text: str, reason: str) -> UserError:
    return UserError(
        f"a genotype must have the form Genotype(normal=[('op', 0), ...], ...), but got {text!r}: {reason}."
    )


def _number(sizes: Mapping[str, ast.expr], name: str, default: int) -> int:
    value = ast.unparse(sizes[name]) if name in sizes else str(default)
    if not value.isdecimal():
        raise UserError(f"{name}= of a genotype must be a whole number, but got {value}.")
    return int(value)


def _cell(text: str, part: str) -> Cell:
    try:
        pairs = list(literal(text))
    except (ValueError, TypeError) as error:
        raise UserError(f"{part}= must have the form [('op', 0), ('op', 1), ...], but got {text!r}.") from error
    edges: list[Edge] = []
    for place, pair in enumerate(pairs, start=1):
        match pair:
            case (str(name), int(source)) if 0 <= source < 2 + (place - 1) // 2:
                edges.append((source, name))
            case (str(), int(source)):
                limit = 1 + (place - 1) // 2
                raise UserError(f"{part}, operation {place}: its input must be a node from 0 to {limit}, not {source}.")
            case _:
                raise UserError(f"{part}, operation {place}: it must have the form ('op', 0), but got {pair!r}.")
    if len(edges) % 2:
        raise UserError(f"{part} must have two operations per node, but has {len(edges)} operations.")
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def _concat(text: str, part: str) -> list[int]:
    if CONCAT.fullmatch(text) is None:
        raise UserError(f"{part}= must be range(2, 6) or [2, 3, 4, 5], but got {text!r}.")
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return list(range(*numbers)) if text.startswith("range") else numbers
