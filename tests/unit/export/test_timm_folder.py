"""The folder for timm; the names are those of timm 1.0.31, whose logits were compared when this was written."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.subject import Subject, fresh_subject
from zenfront.pipeline.export.timm_folder import require_in_timm, write_timm_folder
from zenfront.spaces import Task

REGNETY_002 = "w_0=24,w_a=36.44,w_m=2.49,d=13,g=8,b=1,se=0.25"
# Tensors of timm.create_model("regnety_002"): stem, first block of the first stage, other blocks, head.
STEM = ["stem.conv.weight", *(f"stem.bn.{name}" for name in ("weight", "bias", "running_mean", "running_var"))]
FIRST = ["conv1.conv.weight", "conv2.bn.running_var", "se.fc1.weight", "se.fc2.bias", "downsample.conv.weight"]


def subject(notation: str, side: int = 64, space: str = "regnet") -> Subject:
    found = spaces.load(space)
    return fresh_subject(found, found.architecture(found.parse(notation)), Task(3, side, side, 7))


def test_names_and_shapes_are_those_of_timm(tmp_path: Path) -> None:
    write_timm_folder(subject(REGNETY_002), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    assert {*STEM, *(f"s1.b1.{name}" for name in FIRST), "head.fc.weight"} <= weights.keys()
    assert "s4.b2.downsample.conv.weight" not in weights
    blocks = {tuple(name.split(".")[:2]) for name in weights if name[1].isdigit()}
    depths = [sum(stage == f"s{number}" for stage, _ in blocks) for number in (1, 2, 3, 4)]
    assert depths == [1, 1, 4, 7]  # RegNetY-200MF of the paper
    assert weights["s1.b1.se.fc1.weight"].shape == (8, 24, 1, 1)
    assert weights["s4.b1.conv2.conv.weight"].shape == (368, 8, 3, 3)
    assert weights["head.fc.weight"].shape == (7, 368)
    row = json.loads((tmp_path / "config.json").read_text())
    assert row["model_args"]["bottle_ratio"] == 1
    assert row["num_classes"] == 7


@pytest.mark.parametrize(
    ("notation", "side", "space", "message"),
    [
        (REGNETY_002, 32, "regnet", "from 64 pixels on, but the task has 32 x 32"),
        ("w_0=160,w_a=82.82,w_m=2.5,d=11,g=24,b=1,se=0.0", 64, "regnet", "has 4 stages, but .* has 3"),
        ("d1=1,w1=16,d2=1,w2=32,d3=1,w3=64", 64, "resnet", "timm has no network of the space resnet"),
    ],
)
def test_what_timm_does_not_have_is_refused(notation: str, side: int, space: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        require_in_timm(subject(notation, side, space))
