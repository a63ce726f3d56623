"""TransNAS-Bench-101, NAS-Bench-Macro, the 64 architectures and MobileNet: sizes, strings, complexities by hand."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.spaces import Task

TABLE = Path(__file__).parents[4] / "shared" / "data" / "supernet64.parquet"
CIFAR, SMALL, LARGE = Task(3, 32, 32, 10), Task(3, 64, 64, 75), Task(3, 224, 224, 1000)
Complexity = Callable[..., Any]


def parameters(name: str, text: str, task: Task) -> int:
    space = spaces.load(name)
    network = space.network(space.architecture(space.parse(text)), task)
    return sum(parameter.numel() for parameter in network.parameters())


def conv_bn(w_in: int, w_out: int, k: int) -> int:
    return w_in * w_out * k * k + 2 * w_out


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("transnas_micro", 4096),
        ("transnas_macro", 3256),
        ("nasbench_macro", 6561),
        ("supernet64", 64),
        ("mobilenet", 25 * 7371**5),
    ],
)
def test_sizes(name: str, size: int) -> None:
    assert spaces.load(name).size == size


def test_3256_macro_architectures_are_valid() -> None:
    space = spaces.load("transnas_macro")
    points = product(*(range(len(levels.values)) for levels in space.levels.values()))
    every = {space.decode(point) for point in points}
    assert len(every) == 4**4 + 4**5 + 4**6
    assert sum(space.violation(architecture, Task(3, 256, 256, 75)) is None for architecture in every) == 3256


def test_7371_units_of_mobilenet() -> None:
    """Distinct canonical genes of one unit: 9^2 + 9^3 + 9^4."""
    space = spaces.load("mobilenet")
    base = dict(space.literal([0] * len(space.levels)).genes)
    unit = [name for name in space.levels if name[1] == "3"]
    choices = [space.levels[name].values for name in unit]
    found = {
        space.canonical(spaces.Architecture("mobilenet", tuple((base | dict(zip(unit, values, strict=True))).items())))
        for values in product(*choices)
    }
    assert len(found) == 9**2 + 9**3 + 9**4


def test_a_macro_network_of_transnas_by_hand() -> None:
    stem = conv_bn(3, 32, 3) + conv_bn(32, 64, 3)
    plain = 4 * conv_bn(64, 64, 3)
    doubled = conv_bn(64, 128, 3) + 3 * conv_bn(128, 128, 3) + conv_bn(64, 128, 1)
    halved = 4 * conv_bn(128, 128, 3) + conv_bn(128, 128, 1)
    both = conv_bn(128, 256, 3) + 3 * conv_bn(256, 256, 3) + conv_bn(128, 256, 1)
    head = 256 * 75 + 75
    assert parameters("transnas_macro", "64-1234-basic", SMALL) == stem + plain + doubled + halved + both + head


def test_a_micro_network_of_transnas_by_hand() -> None:
    """64-41414-1_02_333: skip to node 1; 1 x 1 from node 1 to node 2; three 3 x 3 into node 3."""
    total = conv_bn(3, 32, 3) + conv_bn(32, 64, 3) + 512 * 75 + 75
    for w_in, w_out, strided in ((64, 128, 1), (128, 128, 0), (128, 256, 1), (256, 256, 0), (256, 512, 1)):
        skip = conv_bn(w_in, w_out, 1) if strided else 0
        total += skip + conv_bn(w_out, w_out, 1) + conv_bn(w_in, w_out, 3) + 2 * conv_bn(w_out, w_out, 3)
        total += conv_bn(w_out, w_out, 1) + 3 * conv_bn(w_out, w_out, 3)
    assert parameters("transnas_micro", "64-41414-1_02_333", SMALL) == total


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("64-41414-1_02_333", "64-41414-1_02_333"),
        ("64-41414-3_00_100", "64-41414-0_00_100"),  # node 1 leads nowhere
        ("64-41414-0_03_130", "64-41414-0_00_100"),  # node 1 is zero
        ("64-41414-3_10_021", "64-41414-1_30_012"),  # nodes 1 and 2 in the other order
    ],
)
def test_canonical_cells_of_transnas(text: str, canonical: str) -> None:
    space = spaces.load("transnas_micro")
    assert space.notation(space.architecture(space.parse(text))) == canonical


def test_the_order_of_operations_matters_where_the_input_edge_reduces() -> None:
    """In a reduction cell 1 x 1 then 3 x 3 is not 3 x 3 then 1 x 1: only the first is strided."""
    space = spaces.load("transnas_micro")
    forms = {space.architecture(space.parse(f"64-41414-{text}")) for text in ("2_03_001", "3_02_001")}
    assert len(forms) == 2


def test_networks_of_nasbench_macro_by_hand() -> None:
    """All identities: 1 x 1 convolutions at the three strides; all MB 3 x 3 with expansion 3."""
    head = conv_bn(256, 1280, 1) + 1280 * 10 + 10
    stem = conv_bn(3, 32, 3)
    steps = ((32, 64), (64, 128), (128, 256))
    identities = sum(conv_bn(w_in, w_out, 1) for w_in, w_out in steps)
    assert parameters("nasbench_macro", "00000000", CIFAR) == stem + identities + head

    def mb(w_in: int, w_out: int, k: int, e: int) -> int:
        return conv_bn(w_in, e * w_in, 1) + e * w_in * k * k + 2 * e * w_in + conv_bn(e * w_in, w_out, 1)

    for digit, k, e in (("1", 3, 3), ("2", 5, 6)):
        layers = sum(mb(w_in, w_out, k, e) for w_in, w_out in steps)
        layers += mb(64, 64, k, e) + 2 * mb(128, 128, k, e) + 2 * mb(256, 256, k, e)
        assert parameters("nasbench_macro", digit * 8, CIFAR) == stem + layers + head


def test_operations_of_the_64_architectures() -> None:
    if not TABLE.exists():
        pytest.skip(f"{TABLE} is absent")
    columns = ["index", "op_in_n1", "op_in_n2", "op_n1_n2"]
    table = pytest.importorskip("pyarrow.parquet").read_table(TABLE, columns=columns).to_pylist()
    space = spaces.load("supernet64")
    assert len(table) == 64
    for row in table:
        index = row.pop("index")
        digits = [index // 16, index // 4 % 4, index % 4]
        assert dict(space.decode(digits).genes) == row
        assert space.notation(space.decode(digits)) == "".join(str(digit + 1) for digit in digits)


def test_a_network_of_the_64_by_hand() -> None:
    """434: no affine parameters in cells; dilated 5 x 5, separable 5 x 5 twice, dilated 5 x 5."""
    stem = conv_bn(3, 48, 3) + conv_bn(48, 48, 3)
    separable = 16 * 25 + 16 * 16
    cells = 48 * 16 + 3 * 32 * 16 + 4 * (separable + 2 * separable + separable)
    assert parameters("supernet64", "434", CIFAR) == stem + cells + 32 * 10 + 10
    assert parameters("supernet64", "111", CIFAR) == stem + 48 * 16 + 3 * 32 * 16 + 32 * 10 + 10


def test_mobilenet_follows_resolution_and_task() -> None:
    space = spaces.load("mobilenet")
    base = dict(space.literal([0] * len(space.levels)).genes)
    for resolution, task, last in ((224, LARGE, 7), (160, LARGE, 5), (224, CIFAR, 4), (128, SMALL, 2)):
        network = space.network(space.architecture({**base, "resolution": resolution}), task)
        assert network.features(torch.empty(1, 3, task.height, task.width, device="meta")).shape[-1] == last
    widths = [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert (widths[0], widths[-1]) == (32, 1280)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("transnas_macro", "64-123-basic"),
        ("transnas_macro", "64-1235-basic"),
        ("transnas_micro", "64-41414-4_02_333"),
        ("transnas_micro", "64-12345-1_02_333"),
        ("nasbench_macro", "0120120"),
        ("nasbench_macro", "01201203"),
        ("supernet64", "430"),
    ],
)
def test_other_strings_are_user_errors(name: str, text: str) -> None:
    space = spaces.load(name)
    with pytest.raises(UserError):
        space.architecture(space.parse(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [("64-1133-basic", "doubles the channels 0 times"), ("64-1122-basic", "halves the resolution 0")],
)
def test_the_violation_of_a_macro_network_out_of_bounds_gives_the_reason(text: str, message: str) -> None:
    space = spaces.load("transnas_macro")
    assert message in str(space.violation(space.architecture(space.parse(text)), LARGE))
