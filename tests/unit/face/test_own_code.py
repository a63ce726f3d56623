"""A search space and a score in files of the user's own, from Python; a file that a config names has to be allowed."""

from pathlib import Path
from typing import Any

import pytest
from torch import nn

import zenfront as zf
from zenfront.pipeline import user_code
from zenfront.pipeline.record.run_folder import RunFolder

SPACE = """
from optuna.distributions import IntDistribution
from torch import nn
from zenfront.spaces import Network, Space

def build(architecture, task):
    body = nn.Sequential(nn.Conv2d(task.channels, int(architecture["w"]), 3), nn.BatchNorm2d(int(architecture["w"])))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(int(architecture["w"]), task.classes))
    return Network(body, head)

SPACE = Space(name="widths", distributions={"w": IntDistribution(1, 9)}, build=build, source="a test")
"""
SCORE = """
from zenfront.pipeline.proxies import Proxy

def score(network, batch, generator, *, power: int = 1) -> float:
    return float(sum(parameter.numel() for parameter in network.parameters())) ** power

PROXY = Proxy(name="weight_count", score=score, unit="1", direction="maximise", source="a test")
"""
CONFIG = """
name: own
space: ./widths.py
task: {channels: 1, height: 8, width: 8, classes: 3}
objectives:
  - {score: ./weight_count.py, direction: maximise}
  - {score: flops, direction: minimise}
search: {population: 4, evaluations: 8, algorithm: random}
select: {k: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the files."""
    for name, text in (("widths.py", SPACE), ("weight_count.py", SCORE), ("own.yaml", CONFIG)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(user_code, "_allowed", set())
    return tmp_path


def test_a_score_of_ones_own_takes_any_module(folder: Path, given: Any) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    found = zf.score(module, ["./weight_count.py", "params"], images=given.images)
    assert found["weight_count"] == found["params"] == 193 * 5
    options = {"weight_count": {"power": 2}}
    squared = zf.score(module, ["./weight_count.py"], images=given.images, options=options)
    assert squared["weight_count"] == (193 * 5) ** 2
    with pytest.raises(zf.UserError, match="no option 'powers'"):
        zf.score(module, ["./weight_count.py"], images=given.images, options={"weight_count": {"powers": 2}})


def test_an_architecture_of_a_space_of_ones_own(folder: Path) -> None:
    """A convolution of 9 weights and a bias a channel, two parameters of the norm, a linear layer."""
    found = zf.score("./widths.py", "w=4", ["./weight_count.py", "flops"], task=(1, 8, 8, 3))
    assert found["weight_count"] == 4 * 10 + 4 * 2 + 5 * 3
    assert found["flops"] == 4 * 9 * 36 + 4 * 3


def test_a_search_runs_code_that_was_allowed_and_no_other(folder: Path) -> None:
    options: dict[str, Any] = {"backend": "serial", "tracking": False, "progress": False}
    with pytest.raises(zf.UserError, match=r"names Python code, which runs with all your rights.*--allow-code"):
        zf.search("own.yaml", **options)
    assert not (folder / "runs").exists()
    run = zf.search("own.yaml", allow_code=True, **options)
    assert len(run.scores()) == 8
    assert list(run.scores()["weight_count"].dropna()) == [
        15 * int(text.removeprefix("w=")) + 3 for text in run.scores()["architecture"]
    ]


def test_a_run_of_own_code_can_be_read_after_it_was_allowed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zf.search("own.yaml", allow_code=True, backend="serial", tracking=False, progress=False).path
    monkeypatch.setattr(user_code, "_allowed", set())
    run = zf.open_run(path)
    assert len(run.front()) >= 1  # front.json says how its members are written
    with pytest.raises(zf.UserError, match="names Python code"):
        run.scores()
    assert len(zf.open_run(path, allow_code=True).scores()) == 8
    assert RunFolder(path).experiment().own_code()
