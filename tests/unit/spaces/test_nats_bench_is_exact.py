"""NAS-Bench-201 and the size space of NATS-Bench agree with the official records.

NATS-Bench adds the bias of the linear layer to its multiply-adds.
"""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture, Space, Task

DATA = Path(__file__).parents[4] / "shared" / "data"
TASKS = {"cifar10": Task(3, 32, 32, 10), "cifar100": Task(3, 32, 32, 100), "ImageNet16-120": Task(3, 16, 16, 120)}
TASKS["cifar10-valid"] = TASKS["cifar10"]
Complexity = Callable[..., Any]


def rows(name: str, columns: list[str]) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    parquet = pytest.importorskip("pyarrow.parquet")
    return list(parquet.read_table(path, columns=columns).to_pylist())


@pytest.fixture
def space() -> Space:
    return spaces.load("nasbench201")


def literal(space: Space, text: str) -> Architecture:
    genes = space.parse(text)
    return space.literal([levels.index(name, genes[name]) for name, levels in space.levels.items()])


def literal_complexity(space: Space, text: str, task: Task, complexity: Complexity) -> Any:
    with torch.device("meta"):
        network = space.build(literal(space, text), task)
    return complexity(network, task)


def test_sizes() -> None:
    assert spaces.load("nasbench201").size == 15_625
    assert spaces.load("nats_sss").size == 32_768


def test_closed_forms(space: Space, complexity: Complexity) -> None:
    """The forms are exact for all 15,625 published architectures: a 3 x 3 adds 243,040 parameters, a 1 x 1 28,000."""
    for n3, n1 in ((0, 0), (1, 0), (0, 1), (2, 1), (6, 0), (0, 6), (3, 3)):
        rest = ["none", "avg_pool_3x3", "skip_connect", "none", "skip_connect", "avg_pool_3x3"]
        names = (["nor_conv_3x3"] * n3 + ["nor_conv_1x1"] * n1 + rest)[:6]
        names = [names[i] for i in numpy_generator(0, "closed", str(n3), str(n1)).permutation(6)]
        indices = [levels.values.index(name) for levels, name in zip(space.levels.values(), names, strict=True)]
        text = space.notation(space.literal(indices))
        counted = literal_complexity(space, text, TASKS["cifar10"], complexity)
        assert counted.params == 73_306 + 243_040 * n3 + 28_000 * n1
        assert counted.macs + counted.biases == 7_783_050 + 35_389_440 * n3 + 3_932_160 * n1


def test_published_complexity_of_the_table(space: Space, complexity: Complexity) -> None:
    table = rows("nasbench201_cifar10.parquet", ["architecture", "params", "flops"])
    for index in numpy_generator(0, "table").permutation(len(table))[:30]:
        row = table[int(index)]
        counted = literal_complexity(space, row["architecture"], TASKS["cifar10"], complexity)
        assert (counted.params, counted.macs + counted.biases) == (row["params"], row["flops"])


def test_official_records(complexity: Complexity) -> None:
    names = {"tss": "nasbench201", "sss": "nats_sss"}
    table = rows("nats_official_records.parquet", ["space", "arch", "dataset", "params_M", "flops_M"])
    seen = {tuple(row.values()) for row in table}
    assert len(seen) == 24
    for kind, text, dataset, params, flops in seen:
        counted = literal_complexity(spaces.load(names[kind]), text, TASKS[dataset], complexity)
        assert (counted.params, counted.macs + counted.biases) == (round(params * 1e6), round(flops * 1e6))


@pytest.mark.parametrize(
    ("text", "params", "macs"),
    [("8:8:8:8:8", 11_714, 4_481_114), ("8:8:8:16:32", 49_202, 6_840_650), ("8:8:40:32:40", 144_834, 21_827_994)],
)
def test_sizes_of_the_size_space(text: str, params: int, macs: int, complexity: Complexity) -> None:
    counted = literal_complexity(spaces.load("nats_sss"), text, TASKS["cifar10"], complexity)
    assert (counted.params, counted.macs + counted.biases) == (params, macs)


def test_6466_classes_up_to_isomorphism(space: Space) -> None:
    every = product(range(5), repeat=6)
    assert len({space.decode(indices) for indices in every}) == 6466


def test_classes_are_those_of_the_benchmark(space: Space) -> None:
    table = rows("nasbench201_cifar10.parquet", ["architecture", "isomorphism_class"])
    canonical = {row["architecture"]: space.canonical(literal(space, row["architecture"])) for row in table}
    pairs = {(row["isomorphism_class"], canonical[row["architecture"]]) for row in table}
    assert len(pairs) == len({label for label, _ in pairs}) == len({form for _, form in pairs})


def test_strings_of_the_benchmark_are_printed_as_they_were_read(space: Space) -> None:
    for row in rows("nasbench201_cifar10.parquet", ["architecture"]):
        assert space.notation(literal(space, row["architecture"])) == row["architecture"]


@pytest.mark.parametrize(
    "text",
    [
        "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",  # node 1 reaches nothing
        "|none~0|+|none~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_1x1~1|none~2|",  # node 1 is zero
    ],
)
def test_dead_convolutions_are_gone_from_the_canonical_cell(space: Space, text: str, complexity: Complexity) -> None:
    architecture = space.architecture(space.parse(text))
    assert space.notation(architecture) == "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"
    network = space.network(architecture, TASKS["cifar10"])
    assert complexity(network, TASKS["cifar10"]).params == 73_306 + 243_040


def test_a_skip_connection_before_or_after_an_operation_is_one_cell(space: Space) -> None:
    first = "|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_1x1~2|"
    second = "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|nor_conv_1x1~2|"
    other = "|none~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
    forms = [space.architecture(space.parse(text)) for text in (first, second, other)]
    assert forms[0] == forms[1] != forms[2]


@pytest.mark.parametrize(
    "text", ["", "|skip_connect~0|", "|a~0|+|b~0|c~1|+|d~0|e~1|f~2|", "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|"]
)
def test_other_strings_are_user_errors(space: Space, text: str) -> None:
    with pytest.raises(UserError):
        space.architecture(space.parse(text))


def test_odd_sides_build(space: Space) -> None:
    (architecture,) = [space.sample(numpy_generator(0, "odd"))]
    network = space.network(architecture, Task(1, 30, 29, 4))
    assert network(torch.empty(2, 1, 30, 29, device="meta")).shape == (2, 4)
