"""An experiment with a search space and a score in files beside it."""

import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from zenfront.pipeline import user_code

SPACE = """
from optuna.distributions import IntDistribution
from torch import nn
from zenfront.spaces import Architecture, Network, Space, Task

def build(architecture: Architecture, task: Task) -> Network:
    layers, w_in = [], task.channels
    for i in (1, 2):
        w = 4 * int(architecture[f"w{i}"])
        layers += [nn.Conv2d(w_in, w, 3, 2, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU()]
        w_in = w
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(w_in, task.classes)]
    return Network(nn.Sequential(*layers), nn.Sequential(*head))

SPACE = Space(
    name="chain", distributions={"w1": IntDistribution(1, 6), "w2": IntDistribution(1, 6)}, build=build, source="a test"
)
"""
# What pickles by value stumble over: a cached function, an autograd function, a class that is looked up by its module.
PROXY = '''
import dataclasses
from functools import cache
import torch
from zenfront.pipeline.proxies import Proxy

class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g

@dataclasses.dataclass
class Factor:
    value: float

@cache
def factor_of(number: int) -> Factor:
    return Factor(float(number))

def score(network, batch, generator, *, factor: int = 1) -> float:
    """Mean absolute gradient of the summed logits with respect to the images."""
    images = batch.images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(Double.apply(images)).sum(), images)
    return factor_of(factor).value * float(gradient.abs().mean())

NEEDS = frozenset({"gradients"})
PROXY = Proxy(name="slope", score=score, unit="1", direction="maximise", source="a test", needs=NEEDS)
'''
EXPERIMENT = """
name: mine
space: ./chain.py
task: {channels: 1, height: 8, width: 8, classes: 10}
objectives:
  - {score: ./slope.py, direction: maximise}
  - {score: flops, direction: minimise}
constraints:
  - {score: ./slope.py, at_least: 0.0}
proxies:
  ./slope.py: {factor: 3}
search: {population: 4, evaluations: 8, batch: 4}
select: {k: 2, rule: even, along: ./slope.py}
train: {epochs: 1, recipe: {warmup_epochs: 0}, data: {limit: 64}}
resources: {device: cpu, search: {workers: 1}, train: {workers: 1}}
"""


class Own(NamedTuple):
    """Paths of the files."""

    config: Path
    space: Path
    proxy: Path


@pytest.fixture(autouse=True)
def _nothing_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a process of its own, as far as code is concerned."""
    monkeypatch.setattr(user_code, "_allowed", set())
    for name in [name for name in sys.modules if name.startswith("zenfront_user_code_")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def own(tmp_path: Path) -> Own:
    folder = tmp_path / "config"
    folder.mkdir()
    files = Own(folder / "mine.yaml", folder / "chain.py", folder / "slope.py")
    for file, text in zip(files, (EXPERIMENT, SPACE, PROXY), strict=True):
        file.write_text(text, encoding="utf-8")
    return files
