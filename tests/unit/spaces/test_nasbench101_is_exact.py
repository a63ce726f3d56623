"""NAS-Bench-101: hashes, canonical graphs and parameters of the published networks; the number of graphs."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture, Space, Task
from zenfront.spaces.nasbench101 import graph_hash

TABLE = Path(__file__).parents[4] / "shared" / "data" / "nasbench101_sample.parquet"
CIFAR = Task(3, 32, 32, 10)
CONV3, CONV1, POOL = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"
# The first row of the table, kept here so that something published is checked without it.
FIRST = {
    "matrix": [
        [0, 1, 0, 0, 1, 1, 0],
        [0, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 1],
        [0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    "ops": ["input", CONV3, POOL, CONV3, CONV3, CONV1, "output"],
}


@pytest.fixture
def space() -> Space:
    return spaces.load("nasbench101")


def rows(columns: list[str]) -> list[dict[str, Any]]:
    if not TABLE.exists():
        pytest.skip(f"{TABLE} is absent")
    parquet = pytest.importorskip("pyarrow.parquet")
    return list(parquet.read_table(TABLE, columns=columns).to_pylist())


def literal(space: Space, matrix: list[list[int]], ops: list[str]) -> Architecture:
    genes = space.parse(json.dumps({"matrix": matrix, "ops": ops}))
    return space.literal([levels.index(name, genes[name]) for name, levels in space.levels.items()])


def of_row(space: Space, row: dict[str, Any]) -> Architecture:
    return literal(space, json.loads(row["adjacency"]), json.loads(row["operations"]))


def params(space: Space, architecture: Architecture) -> int:
    return sum(parameter.numel() for parameter in space.network(architecture, CIFAR).parameters())


def test_a_published_network(space: Space) -> None:
    architecture = space.architecture(space.parse(json.dumps(FIRST)))
    assert json.loads(space.notation(architecture)) == FIRST
    assert graph_hash(architecture) == "00005c142e6f48ac74fdcf73e3439874"
    assert params(space, architecture) == 8_555_530


def test_hashes_of_the_table(space: Space) -> None:
    table = rows(["hash", "adjacency", "operations"])
    assert len(table) == 8000
    assert [graph_hash(of_row(space, row)) for row in table] == [row["hash"] for row in table]


def test_the_graphs_of_the_table_are_canonical(space: Space) -> None:
    for row in rows(["adjacency", "operations"]):
        architecture = of_row(space, row)
        assert space.canonical(architecture) == architecture


@pytest.mark.slow
def test_parameters_of_the_table(space: Space) -> None:
    """The test uses every tenth row; the whole table, which takes minutes, was also checked once."""
    table = rows(["adjacency", "operations", "params"])[::10]
    assert [params(space, of_row(space, row)) for row in table] == [row["params"] for row in table]


def test_canonical_form_and_hash_are_invariant(space: Space) -> None:
    generator = numpy_generator(0, "permutations")
    for _ in range(50):
        architecture = space.sample(generator)
        value = json.loads(space.notation(architecture))
        matrix, ops = np.array(value["matrix"]), value["ops"]
        for order in permutations(range(1, len(ops) - 1)):
            full = [0, *order, len(ops) - 1]
            moved = matrix[np.ix_(full, full)]
            if np.tril(moved).any():
                continue
            other = literal(space, moved.tolist(), [ops[vertex] for vertex in full])
            assert space.canonical(other) == architecture
            assert graph_hash(other) == graph_hash(architecture)


def test_vertices_off_every_path_are_pruned(space: Space) -> None:
    """Vertex 1 leads nowhere, vertex 2 comes from nowhere."""
    matrix = [[0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    architecture = space.architecture(
        space.parse(json.dumps({"matrix": matrix, "ops": ["input", CONV1, POOL, CONV3, "output"]}))
    )
    value = json.loads(space.notation(architecture))
    assert value == {"matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "ops": ["input", CONV3, "output"]}


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0, 1, 0], [0, 0, 0], [0, 0, 0]], "no path"),
        (
            [[0, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0] * 5 + [1], [0] * 5 + [1], [0] * 6],
            "13 edges",
        ),
    ],
)
def test_the_violation_of_an_invalid_graph_gives_the_reason(
    space: Space, matrix: list[list[int]], message: str
) -> None:
    ops = ["input", *[CONV3] * (len(matrix) - 2), "output"]
    with pytest.raises(UserError, match=message):
        space.network(space.architecture(space.parse(json.dumps({"matrix": matrix, "ops": ops}))), CIFAR)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"matrix": [[0, 1]], "ops": ["input", "output"]}',
        '{"matrix": [[0, 0], [1, 0]], "ops": ["input", "output"]}',
        '{"matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "ops": ["input", "conv7x7", "output"]}',
    ],
)
def test_other_texts_are_user_errors(space: Space, text: str) -> None:
    with pytest.raises(UserError):
        space.architecture(space.parse(text))


def full_graphs(vertices: int) -> np.ndarray:
    """Return the adjacency matrices (M, V, V) with at most nine edges and every vertex on a path from first to last."""
    pairs = [(s, t) for t in range(1, vertices) for s in range(t)]
    codes = np.arange(1 << len(pairs), dtype=np.int64)
    codes = codes[np.bitwise_count(codes) <= 9]
    matrices = np.zeros((len(codes), vertices, vertices), dtype=np.int8)
    for bit, (source, target) in enumerate(pairs):
        matrices[:, source, target] = codes >> bit & 1
    leaves, arrives = np.any(matrices[:, :-1], axis=2), np.any(matrices[:, :, 1:], axis=1)
    return np.asarray(matrices[np.all(leaves, axis=1) & np.all(arrives, axis=1)])


def labelled_graphs(vertices: int, labels: int) -> int:
    """Count the labelled graphs up to isomorphism.

    Unlabelled graphs are told apart by the least code over all orders of their vertices. The labellings of one of them
    that differ are, by Burnside's lemma, the mean of labels ** cycles over its automorphisms.
    """
    matrices = full_graphs(vertices)
    weights = 1 << np.arange(vertices * vertices, dtype=np.int64)
    orders = [[0, *order, vertices - 1] for order in permutations(range(1, vertices - 1))]
    codes = np.stack(
        [matrices[:, order][:, :, order].reshape(len(matrices), -1).astype(np.int64) @ weights for order in orders], 1
    )
    _, first = np.unique(codes.min(1), return_index=True)
    total = 0
    for index in first:
        identity = codes[index, 0]
        automorphisms = [order for order, code in zip(orders, codes[index], strict=True) if code == identity]
        total += sum(labels ** cycles(order[1:-1]) for order in automorphisms) // len(automorphisms)
    return total


def cycles(order: list[int]) -> int:
    """Count the cycles of the permutation i -> order[i - 1] of 1 .. n."""
    seen: set[int] = set()
    count = 0
    for start in order:
        count += start not in seen
        while start not in seen:
            seen.add(start)
            start = order[start - 1]
    return count


def test_the_number_of_graphs(space: Space) -> None:
    """The benchmark counts 423,624; the test uses Burnside's lemma, independently of the canonical form."""
    assert sum(labelled_graphs(vertices, 3) for vertices in range(2, 8)) == 423_624 == space.size


def test_the_canonical_form_counts_right_up_to_five_vertices(space: Space) -> None:
    """The graphs of at most five vertices have as many canonical forms as Burnside's lemma counts."""
    forms = set()
    for vertices in range(2, 6):
        for matrix in full_graphs(vertices):
            for code in range(3 ** (vertices - 2)):
                ops = [(CONV3, CONV1, POOL)[code // 3**i % 3] for i in range(vertices - 2)]
                forms.add(space.canonical(literal(space, matrix.tolist(), ["input", *ops, "output"])))
    assert len(forms) == sum(labelled_graphs(vertices, 3) for vertices in range(2, 6))
