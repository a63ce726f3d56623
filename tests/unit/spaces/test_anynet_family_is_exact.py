"""Published networks of pycls match in parameters, multiply-adds and activations to the last digit.

pycls adds a bias of a convolution or linear layer to its multiply-adds, and counts the outputs of convolutions, linear
layers and pooling as activations.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.spaces import Network, Task
from zenfront.spaces._anynet import Stage, anynet, basic, bottleneck, cifar_stem, imagenet_stem, vanilla

ROWS = json.loads((Path(__file__).parents[2] / "golden" / "pycls_complexity.json").read_text())
BLOCKS = {"vanilla_block": vanilla, "res_basic_block": basic, "res_bottleneck_block": bottleneck}
STEMS = {"res_stem_cifar": cifar_stem, "res_stem_in": imagenet_stem}
CIFAR, IMAGENET = Task(3, 32, 32, 10), Task(3, 224, 224, 1000)


def regnet(row: dict[str, Any]) -> Network:
    space = spaces.load("regnet")
    genes = {name: row[name] for name in ("w_0", "w_a", "w_m")}
    genes |= {"d": row["depth"], "g": row["group_width"], "b": int(row["bottleneck_ratio"]), "se": row["se_ratio"]}
    return space.network(space.architecture(genes), IMAGENET)


def any_net(row: dict[str, Any], task: Task) -> Network:
    none = [1] * len(row["depths"])
    ratios = [round(1 / multiplier) for multiplier in row.get("bot_muls", none)]
    columns = zip(row["depths"], row["widths"], row["strides"], ratios, row.get("group_ws", none), strict=True)
    with torch.device("meta"):
        stages = [Stage(*column) for column in columns]
        return anynet(row["stem_w"], stages, task, BLOCKS[row["block_type"]], STEMS[row["stem_type"]])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_published_complexity(row: dict[str, Any], complexity: Callable[..., Any]) -> None:
    task = CIFAR if row.get("stem_type") == "res_stem_cifar" else IMAGENET
    counted = complexity(regnet(row) if row["family"] == "regnet" else any_net(row, task), task)
    assert counted.params == row["params"]
    assert counted.macs + counted.biases == row["macs"]
    assert counted.activations == row["conv_activations"]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet", 1_259_712),
        ("vanilla", 1_259_712),
        ("resnext_a", 11_390_625),
        ("resnext_b", 52_734_375),
        ("anynet3", (12 * 16 * 3 * 7) ** 3),
    ],
)
def test_sizes(name: str, size: int) -> None:
    assert spaces.load(name).size == size


def test_groups_of_resnext_are_a_number_of_groups() -> None:
    space = spaces.load("resnext_b")
    genes = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in {"d": 1, "w": 64, "b": 4, "groups": 16}.items()}
    network = space.network(space.architecture(genes), CIFAR)
    grouped = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d) and module.groups > 1]
    assert [(module.in_channels, module.groups) for module in grouped] == [(16, 16)] * 3


def test_the_stem_of_a_regnet_follows_the_resolution() -> None:
    space = spaces.load("regnet")
    genes = {"w_0": 24, "w_a": 36.44, "w_m": 2.49, "d": 13, "g": 8, "b": 1, "se": 0.0}
    architecture = space.architecture(genes)
    for side, last in ((32, 2), (64, 2), (224, 7)):
        network = space.network(architecture, Task(3, side, side, 10))
        assert network.features(torch.empty(1, 3, side, side, device="meta")).shape[-2:] == (last, last)


def test_a_regnet_of_five_stages_is_refused() -> None:
    space = spaces.load("regnet")
    genes = {"w_0": 8, "w_a": 128, "w_m": 1.5, "d": 32, "g": 8, "b": 1, "se": 0.0}
    with pytest.raises(UserError, match="stages, but a RegNet can have at most 4"):
        space.network(space.architecture(genes), IMAGENET)


def test_a_stepped_float_survives_rounding_error() -> None:
    space = spaces.load("regnet")
    noisy = {"w_0": 24, "w_a": 4.0 + 56 * 0.01, "w_m": 2.49, "d": 13, "g": 8, "b": 1, "se": 0.0}
    assert noisy["w_a"] != 4.56
    assert space.architecture(noisy)["w_a"] == 4.56
