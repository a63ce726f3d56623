"""The worked example of docs/add-a-space.md, as a module of another installed package."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import torch

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.registry import _entry_points
from zenfront.spaces import Task, initialise

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "add-a-space.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the package of the guide and its metadata, as pip installs them."""
    package = tmp_path / "my_spaces"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tinynet.py").write_text(block("python"), encoding="utf-8")
    metadata = tmp_path / "my_spaces-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-spaces\nVersion: 0.1\n", encoding="utf-8")
    section, line = re.findall(r'^\[project.entry-points."(.*)"\]\n(.*)$', block("toml"), re.MULTILINE)[0]
    (metadata / "entry_points.txt").write_text(f"[{section}]\n{line.replace(chr(34), '')}\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(site))
    _entry_points.cache_clear()
    yield site
    _entry_points.cache_clear()
    for name in ("my_spaces", "my_spaces.tinynet"):
        sys.modules.pop(name, None)


def test_it_is_not_there_before() -> None:
    assert "tinynet" not in spaces.names()
    with pytest.raises(UserError, match="no search space named 'tinynet'"):
        spaces.load("tinynet")


@pytest.mark.usefixtures("installed")
def test_an_entry_point_adds_a_space() -> None:
    assert [point.value for point in entry_points(group="zenfront.spaces", name="tinynet")] == ["my_spaces.tinynet"]
    assert "tinynet" in spaces.names()
    assert "anynet3" in spaces.names()
    space = spaces.load("tinynet")
    assert space.size == 4 * 3 * 4 * 4
    architecture = space.sample(np.random.default_rng(0))
    network = initialise(space.network(architecture, Task(3, 8, 8, 5)), torch.Generator().manual_seed(0))
    assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 5)


@pytest.mark.usefixtures("installed")
def test_the_width_of_an_absent_stage_is_canonical() -> None:
    space = spaces.load("tinynet")
    found = {space.architecture({"w1": 8, "d1": 1, "w2": width, "d2": 0}) for width in (8, 16, 32, 64)}
    assert [space.notation(architecture) for architecture in found] == ["w1=8,d1=1,w2=8,d2=0"]


@pytest.mark.usefixtures("installed")
def test_its_violation_is_reported() -> None:
    space = spaces.load("tinynet")
    with pytest.raises(UserError, match="w1=8,d1=1,w2=16,d2=1: two stages of stride 2 need sides of 4"):
        space.network(space.architecture({"w1": 8, "d1": 1, "w2": 16, "d2": 1}), Task(3, 2, 2, 2))


def test_the_contract_tests_pick_it_up(site: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    contract = "tests/contract/test_every_space.py"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        contract,
        "-k",
        "tinynet",
        "-m",
        "not slow",
        "-p",
        "no:cacheprovider",
    ]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"(\d+) passed", result.stdout)
