"""Architectures are read in the spellings in which people paste them; the first part that does not fit is named."""

import pytest

from zenfront import spaces
from zenfront.pipeline.errors import UserError

PLAIN = "SuperConvK3BNRELU(3,8,1,1)SuperResIDWE6K3(8,16,1,16,1)SuperConvK1BNRELU(16,2048,1,1)"
CELL = "|nor_conv_1x1~0|+|none~0|avg_pool_3x3~1|+|nor_conv_3x3~0|nor_conv_1x1~1|skip_connect~2|"
PAIRS = "(('nor_conv_1x1', 0),), (('none', 0), ('avg_pool_3x3', 1))"
LAST = "(('nor_conv_3x3', 0), ('nor_conv_1x1', 1), ('skip_connect', 2))"
DARTS = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
)
MATRIX = "[[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]"
OPS = '["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "output"]'
MODULE = f'{{"matrix": {MATRIX}, "ops": {OPS}}}'
WIDTHS = "d1=1,w1=8,b1=1,g1=1,d2=1,w2=8,b2=1,g2=1,d3=1,w3=8,b3=1,g3=1"


@pytest.mark.parametrize(
    ("space", "text", "pasted"),
    [
        ("plainnet", PLAIN, PLAIN.replace(")S", ") S")),
        ("plainnet", PLAIN, PLAIN.replace(")S", ")\n  S") + "\n"),
        ("plainnet", PLAIN, PLAIN.replace(",", ", ")),
        ("plainnet", PLAIN, PLAIN.replace("(3,8", "(1,8")),
        ("plainnet", PLAIN, f"structure_str = '{PLAIN}'"),
        ("nasbench201", CELL, CELL.replace("+", " + ")),
        ("nasbench201", CELL, CELL.replace("|+|", "| +\n|")),
        ("nasbench201", CELL, f'"{CELL}"'),
        ("nasbench201", CELL, f"arch = {CELL}"),
        ("nasbench201", CELL, f"Structure(4 nodes with {CELL})"),
        ("nasbench201", CELL, f"[{PAIRS}, {LAST}]"),
        ("nasbench201", CELL, f"({PAIRS}, {LAST})".replace("'", '"')),
        # NASLib: edges 0-1, 0-2, 0-3, 1-2, 1-3, 2-3; skip, none, 3x3, 1x1, pooling.
        ("nasbench201", CELL, "(3, 1, 2, 4, 3, 0)"),
        ("nasbench201", CELL, "[3,1,2,4,3,0]"),
        ("darts", DARTS, f"genotype = {DARTS}"),
        ("darts", DARTS, DARTS.replace(", ", ",\n    ").replace("=", " = ")),
        ("darts", DARTS, DARTS.replace("'", '"').replace("range(2, 6)", "[2, 3, 4, 5]")),
        ("darts", DARTS, DARTS.replace("[", "(").replace("]", ")")),
        ("darts", DARTS, f"{DARTS}, width=16, depth=8"),
        ("nasbench101", MODULE, MODULE.replace('"', "'")),
        ("nasbench101", MODULE, f"spec = {MODULE}"),
        ("nasbench101", MODULE, f"ModelSpec(matrix={MATRIX}, ops={OPS})"),
        ("nasbench101", MODULE, f"api.ModelSpec(\n  matrix={MATRIX},\n  ops={OPS})"),
        ("anynet3", WIDTHS, WIDTHS.replace(",", ", ").replace("=", " = ")),
        ("anynet3", WIDTHS, WIDTHS.replace(",", ",\n") + ","),
        ("anynet3", WIDTHS, "{'" + WIDTHS.replace("=", "': ").replace(",", ", '") + "}"),
        ("nats_sss", "8:16:24:32:64", "8 : 16 : 24 : 32 : 64"),
        ("transnas_micro", "64-41414-1_02_333", "arch = '64-41414-1_02_333'"),
    ],
)
def test_it_is_the_same_architecture(space: str, text: str, pasted: str) -> None:
    known = spaces.load(space)
    assert known.architecture(known.parse(pasted)) == known.architecture(known.parse(text))


def test_cells_of_darts_have_the_size_at_which_they_are_evaluated() -> None:
    space = spaces.load("darts")
    architecture = space.architecture(space.parse(f"{DARTS}, width=36, depth=20"))
    assert (architecture["width"], architecture["depth"]) == (36, 20)
    assert "width=36, depth=20" in space.notation(architecture)


@pytest.mark.parametrize(
    ("space", "text", "message"),
    [
        (
            "plainnet",
            "SuperConvK3BNRELU(3,16,2,1)SuperResMnasV1K3(16,8,1,16,1)SuperConvK1BNRELU(8,1280,1,1)",
            r"part 2, at character 28, 'SuperResMnasV1K3\(16,8,1,16,1\)': plainnet has no such block",
        ),
        (
            "plainnet",
            PLAIN.replace("(16,2048", "(24,2048"),
            "part 3, .*the block before it, 16, but got 24",
        ),
        ("plainnet", PLAIN.replace("2048", "2044"), "part 3, .*a multiple of 8 from 8 to 8192, but got 2044"),
        ("plainnet", PLAIN.replace("16,1,16,1", "16,1,6400,1"), "part 2, .*from 8 to 3072, but got 6400"),
        (
            "plainnet",
            PLAIN.replace("16,1,16,1", "16,1,16,9"),
            "part 2, .*layers must be from 1 to 5, but got 9",
        ),
        ("plainnet", PLAIN.replace("16,1,16,1", "16,1,16"), "part 2, .*has 5 numbers, but got 4"),
        ("plainnet", PLAIN + "rest", "part 4, at character 85, 'rest': a part must have the form"),
        ("nasbench201", CELL.replace("avg_pool_3x3~1", "avg_pool_3x3~0"), "operation 2 of node 2 must be op~1, not"),
        ("nasbench201", CELL.replace("avg_pool_3x3", "conv_7x7"), "edge 1-2 of .*must be one of none, .*'conv_7x7'"),
        ("nasbench201", CELL.rpartition("+")[0], "node 3 needs 3 operations"),
        ("nasbench201", "(4, 0, 3, 1, 4, 9)", "6 numbers from 0 to 4"),
        ("nasbench201", f"[{PAIRS}]", "node 3 needs 3 pairs"),
        ("darts", DARTS.replace("dil_conv_3x3", "conv_9x9"), "operation 8 of a cell of darts: .*but got 'conv_9x9'"),
        ("darts", DARTS.replace("('skip_connect', 0), ('dil", "('skip_connect'), ('dil"), "normal, operation 7: "),
        (
            "darts",
            DARTS.replace("reduce=", "reduces="),
            "it must have normal, normal_concat, reduce, ",
        ),
        ("darts", f"{DARTS}, width=40", "gene 'width'"),
        ("nasbench101", MODULE.replace("conv1x1-bn-relu", "conv5x5"), "ops, entry 3: .*but got 'conv5x5'"),
        ("nasbench101", MODULE.replace("[0, 0, 0, 0]]", "[0, 1, 0, 0]]"), "row 4, column 2 is not 0"),
        ("anynet3", WIDTHS.replace("b1=1", "b1"), "part 3 of .* is 'b1'"),
    ],
)
def test_the_first_part_that_does_not_fit_is_named(space: str, text: str, message: str) -> None:
    known = spaces.load(space)
    with pytest.raises(UserError, match=message):
        known.architecture(known.parse(text))
