"""Published ZenNAS structure strings: parsing, printing, exact complexities, and mutation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.spaces import Space, Task

ROWS = json.loads((Path(__file__).parents[2] / "golden" / "zennets.json").read_text())
FLOPS_400M = next(row["structure"] for row in ROWS if "flops400M" in row["name"])
FLOPS_600M = (
    "SuperConvK3BNRELU(3,24,2,1)SuperResIDWE1K7(24,48,2,48,1)SuperResIDWE2K7(48,72,2,72,1)"
    "SuperResIDWE6K7(72,96,2,88,5)SuperResIDWE4K7(96,192,2,168,5)SuperConvK1BNRELU(192,2048,1,1)"
)
FLOPS_900M = (
    "SuperConvK3BNRELU(3,16,2,1)SuperResIDWE1K7(16,48,2,72,1)SuperResIDWE2K7(48,72,2,64,3)"
    "SuperResIDWE2K7(72,152,2,144,3)SuperResIDWE2K7(152,360,2,352,4)SuperResIDWE4K7(360,288,1,264,3)"
    "SuperConvK1BNRELU(288,2048,1,1)"
)
SIZE_2M = (
    "SuperConvK3BNRELU(3,32,1,1)SuperResK1K5K1(32,120,1,40,1)SuperResK1K5K1(120,176,2,32,3)"
    "SuperResK1K7K1(176,272,1,24,3)SuperResK1K3K1(272,176,1,56,3)SuperResK1K3K1(176,176,1,64,4)"
    "SuperResK1K5K1(176,216,2,40,2)SuperResK1K3K1(216,72,2,56,2)SuperConvK1BNRELU(72,512,1,1)"
)
TINY = "SuperConvK3BNRELU(3,8,1,1)SuperResK3K3(8,16,1,8,1)SuperConvK1BNRELU(16,128,1,1)"


@pytest.fixture
def space() -> Space:
    return spaces.load("plainnet")


def mutants(space: Space, text: str) -> set[str]:
    return {space.notation(other) for other in space.neighbours(space.architecture(space.parse(text)))}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_published_networks(space: Space, row: dict[str, Any], complexity: Callable[..., Any]) -> None:
    architecture = space.architecture(space.parse(row["structure"]))
    assert space.notation(architecture) == row["structure"]
    task = Task(3, row["resolution"], row["resolution"], row["num_classes"])
    counted = complexity(space.network(architecture, task), task)
    assert (counted.params, counted.macs) == (row["params"], row["flops"])


@pytest.mark.parametrize(
    ("text", "side", "classes", "params", "mega_macs"),
    [
        (SIZE_2M, 32, 10, 1_981_810, 481.43),
        (FLOPS_600M, 224, 1000, 7_125_944, 597.5),
        (FLOPS_600M + "+SE", 224, 1000, 11_311_664, 601.7),
        (FLOPS_900M, 224, 1000, 13_300_208, 909.3),
        (FLOPS_900M + "+SE", 224, 1000, 19_351_644, 915.3),
        (FLOPS_400M + "+SE", 224, 1000, 7_466_024, 402.0),
    ],
)
def test_published_networks_with_squeeze_and_excitation(
    space: Space, text: str, side: int, classes: int, params: int, mega_macs: float, complexity: Callable[..., Any]
) -> None:
    task = Task(3, side, side, classes)
    counted = complexity(space.network(space.architecture(space.parse(text)), task), task)
    assert counted.params == params
    assert counted.macs / 1e6 == pytest.approx(mega_macs, abs=0.05)


def test_eighteen_units_are_enough_for_the_longest_published_network(space: Space) -> None:
    units = "".join(f"SuperResK1K5K1({8 * i},{8 * i + 8},1,16,3)" for i in range(1, 19))
    text = f"SuperConvK3BNRELU(3,8,2,1){units}SuperConvK1BNRELU(152,2128,1,1)"
    assert space.notation(space.architecture(space.parse(text))) == text


def test_all_outcomes_of_the_mutation_of_a_tiny_network(space: Space) -> None:
    """Widths of 8: 8, 16; of 16: 8 to 40; of 128: nine; layers 1 to 3; six types: 6 * 5 * 2 * 3 + 2 + 9 - 3."""
    found = mutants(space, TINY)
    assert len(found) == 180 + 2 + 9 - 3
    assert "SuperConvK3BNRELU(3,16,1,1)SuperResK3K3(16,16,1,8,1)SuperConvK1BNRELU(16,128,1,1)" in found
    assert "SuperConvK3BNRELU(3,8,1,1)SuperResK1K7K1(8,40,1,16,3)SuperConvK1BNRELU(40,128,1,1)" in found
    assert "SuperConvK3BNRELU(3,8,1,1)SuperResK3K3(8,16,1,8,1)SuperConvK1BNRELU(16,104,1,1)" in found


def test_six_layers_or_more_are_split(space: Space) -> None:
    found = mutants(space, TINY.replace("8,16,1,8,1", "8,16,2,8,5"))
    split = "SuperConvK3BNRELU(3,8,1,1)SuperResK3K3(8,16,2,8,3)SuperResK3K3(16,16,1,8,{})SuperConvK1BNRELU(16,128,1,1)"
    assert split.format(3) in found
    assert split.format(4) in found
    assert not any(",6)" in text or ",7)" in text for text in found)


def test_the_last_convolution_of_an_idw_network_stays(space: Space) -> None:
    found = mutants(space, FLOPS_600M)
    assert all(text.endswith(",2048,1,1)") for text in found)
    assert any("SuperResIDWE6K3(24," in text for text in found)
    assert not any("K1K" in text.replace("ConvK1", "") for text in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SuperConvK3BNRELU(3,8,1,1)", "structure string"),
        (TINY.replace("(8,16", "(24,16"), "input width of each block must equal the output width"),
        (TINY.replace("3,8,1,1", "3,12,1,1").replace("(8,16", "(12,16"), "multiple of 8"),
        (TINY.replace("K3K3", "K3K5"), "part 2, .*no such block"),
        (TINY.replace("8,16,1,8,1", "8,16,1,8,6"), "part 2, .*number of layers"),
    ],
)
def test_other_strings_are_user_errors(space: Space, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        space.architecture(space.parse(text))
