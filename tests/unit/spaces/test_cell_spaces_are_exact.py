"""The cell spaces of "On network design spaces": number of cells, published genotypes, canonical cells."""

import math
from dataclasses import replace

import pytest
import torch

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Space, Task
from zenfront.spaces._genotype import Cell, canonical_cell, loose_ends, parse_genotype
from zenfront.spaces._nds_cells import all_nodes, cell_network, operation

CIFAR = Task(3, 32, 32, 10)
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
    "normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), "
    "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
    "reduce_concat=[2, 3, 4, 5])"
)
AMOEBANET = (
    "Genotype(normal=[('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 2), "
    "('sep_conv_3x3', 0), ('avg_pool_3x3', 3), ('sep_conv_3x3', 1), ('skip_connect', 1), ('skip_connect', 0), "
    "('avg_pool_3x3', 1)], normal_concat=[4, 5, 6], "
    "reduce=[('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('sep_conv_7x7', 2), "
    "('sep_conv_7x7', 0), ('avg_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1), ('conv_7x1_1x7', 0), "
    "('sep_conv_3x3', 5)], reduce_concat=[3, 4, 6])"
)
NASNET = (
    "Genotype(normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 0), "
    "('avg_pool_3x3', 1), ('skip_connect', 0), ('avg_pool_3x3', 0), ('avg_pool_3x3', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 1)], normal_concat=[2, 3, 4, 5, 6], "
    "reduce=[('sep_conv_5x5', 1), ('sep_conv_7x7', 0), ('max_pool_3x3', 1), ('sep_conv_7x7', 0), "
    "('avg_pool_3x3', 1), ('sep_conv_5x5', 0), ('skip_connect', 3), ('avg_pool_3x3', 2), ('sep_conv_3x3', 2), "
    "('max_pool_3x3', 1)], reduce_concat=[4, 5, 6])"
)


@pytest.mark.parametrize(
    ("name", "billions"),
    [("nasnet", 71_465_842), ("amoeba", 556_628), ("pnas", 556_628), ("enas", 5_063), ("darts", 242)],
)
def test_number_of_cells(name: str, billions: int) -> None:
    """Table 3 of the paper, in billions of cells; a space has two cells, three widths and five depths."""
    space = spaces.load(name)
    cells = math.prod(len(levels.values) for gene, levels in space.levels.items() if gene.startswith("normal"))
    assert abs(cells / 1e9 - billions) <= 0.5
    assert space.size == cells**2 * 3 * 5


def test_parameters_of_darts_v2() -> None:
    """The authors' code prints 3.349342 MB for 20 cells of 36 channels on CIFAR-10, without the auxiliary head."""
    genotype, _ = parse_genotype(DARTS_V2)
    with torch.device("meta"):
        network = cell_network(replace(genotype, width=36, depth=20), all_nodes, CIFAR)
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_349_342


@pytest.mark.parametrize(("name", "text"), [("darts", DARTS_V2), ("amoeba", AMOEBANET), ("nasnet", NASNET)])
def test_published_genotypes(name: str, text: str) -> None:
    space = spaces.load(name)
    architecture = space.architecture(space.parse(text))
    assert (architecture["width"], architecture["depth"]) == (16, 8)
    printed = space.notation(architecture)
    assert printed.endswith("width=16, depth=8")
    assert space.architecture(space.parse(f"{text}, width=32, depth=20"))["width"] == 32


def test_ranges_and_line_breaks_parse() -> None:
    space = spaces.load("darts")
    text = DARTS_V2.replace("[2, 3, 4, 5]", "range(2, 6)").replace(", reduce=", ",\n    reduce=")
    assert space.architecture(space.parse(text)) == space.architecture(space.parse(DARTS_V2))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("darts", AMOEBANET, "must have 4 nodes"),
        ("amoeba", AMOEBANET.replace("[4, 5, 6]", "[2, 3]"), r"must concatenate the nodes \[4, 5, 6\]"),
        ("darts", DARTS_V2.replace("dil_conv_3x3", "conv_9x9"), "must be one of"),
        ("darts", DARTS_V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "operation 8: its input must be"),
        ("darts", DARTS_V2.replace("('dil_conv_3x3', 2)", "dil_conv_3x3"), "must have the form"),
    ],
)
def test_other_genotypes_are_user_errors(name: str, text: str, message: str) -> None:
    space = spaces.load(name)
    with pytest.raises(UserError, match=message):
        space.architecture(space.parse(text))


def test_isomorphic_cells_are_one() -> None:
    """Nodes 2 and 3 are swapped together with the inputs of node 4, and the edges of a node are swapped."""
    one: Cell = (((0, "a"), (1, "b")), ((0, "c"), (1, "c")), ((2, "a"), (3, "b")), ((0, "a"), (4, "a")))
    other: Cell = (((1, "c"), (0, "c")), ((1, "b"), (0, "a")), ((2, "b"), (3, "a")), ((4, "a"), (0, "a")))
    different: Cell = (((1, "c"), (0, "c")), ((1, "b"), (0, "a")), ((3, "b"), (2, "a")), ((4, "a"), (0, "a")))
    assert canonical_cell(one) == canonical_cell(other) != canonical_cell(different)


def test_the_input_of_a_none_operation_makes_no_difference() -> None:
    cells: list[Cell] = [(((0, "a"), (1, "a")), ((source, "none"), (1, "b"))) for source in (0, 1, 2)]
    assert len({canonical_cell(cell) for cell in cells}) == 1


def test_a_third_of_two_node_cells_counted_by_hand() -> None:
    """With one operation, node 2 reads {00, 01, 11} and node 3 two of {0, 1, 2}: 3 * 6 cells up to edge order.

    In 9 of them node 3 does not read node 2, and the two nodes can be swapped: 3 pairs are equal, 6 become 3.
    """
    cells = {
        canonical_cell((((a, "op"), (b, "op")), ((c, "op"), (d, "op"))))
        for a in (0, 1)
        for b in (0, 1)
        for c in (0, 1, 2)
        for d in (0, 1, 2)
    }
    assert len(cells) == 3 * 6 - 3


def test_loose_ends() -> None:
    genotype, stated = parse_genotype(AMOEBANET)
    assert (loose_ends(genotype.normal), loose_ends(genotype.reduce)) == stated


@pytest.fixture(params=["darts", "nasnet", "amoeba", "pnas", "enas"])
def space(request: pytest.FixtureRequest) -> Space:
    return spaces.load(request.param)


def test_every_operation_keeps_or_halves_odd_and_even_sides(space: Space) -> None:
    for name in space.levels["normal_2a_op"].values:
        for stride, side in ((1, 7), (1, 8), (2, 7), (2, 8)):
            with torch.device("meta"):
                out = operation(str(name), 6, stride)(torch.empty(2, 6, side, side))
            assert out.shape == (2, 6, math.ceil(side / stride), math.ceil(side / stride)), name


def test_reductions_are_at_one_and_two_thirds(space: Space) -> None:
    architecture = space.sample(numpy_generator(0, space.name))
    genes = {**dict(architecture.genes), "depth": 12, "width": 16}
    network = space.network(space.architecture(genes), CIFAR)
    sides: list[int] = []
    for cell in network.features.cells:  # type: ignore[union-attr]
        cell.register_forward_hook(lambda module, inputs, output: sides.append(output.shape[-1]))
    network(torch.empty(2, 3, 32, 32, device="meta"))
    assert sides == [32] * 4 + [16] * 4 + [8] * 4


def test_unread_cells_are_not_built() -> None:
    """If cells read only the last but one, only every second of eight cells is built, without a second input."""
    space = spaces.load("pnas")
    cell = ", ".join(["('sep_conv_3x3', 0), ('max_pool_3x3', 0)"] * 5)
    concat = "[2, 3, 4, 5, 6]"
    text = f"Genotype(normal=[{cell}], normal_concat={concat}, reduce=[{cell}], reduce_concat={concat})"
    network = space.network(space.architecture(space.parse(text)), CIFAR)
    assert len(network.features.cells) == 4  # type: ignore[arg-type]
    assert not any("second" in name for name, _ in network.named_parameters())
