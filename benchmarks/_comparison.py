"""Comparison of one proxy on one network: the straightforward implementation, ours, and the exact value."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import torch
from _straightforward import SCORES

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.seeds import torch_generator
from zenfront.spaces import Architecture, Network, Task, initialise

T = TypeVar("T")
TASK = Task(3, 32, 32, 10)
SPACE = spaces.load("anynet3")
STRAIGHTFORWARD_OPTIONS: dict[str, dict[str, Any]] = {
    "zen": {"mode": "reference", "images": 64},
    "ntk": {"method": "exact"},
}
ZERO_COST_NAS = ("grad_norm", "snip", "synflow", "fisher")
Row = dict[str, float]


def build_plainly(architecture: Architecture) -> Network:
    """Build the network as the published code does: on the CPU, with every layer initialising itself."""
    with torch.random.fork_rng(devices=[]):
        return SPACE.build(architecture, TASK)


def build_initialised(name: str, architecture: Architecture, *, plainly: bool, seed: int) -> Network:
    network = build_plainly(architecture) if plainly else SPACE.network(architecture, TASK)
    weights = proxies.load(name).weights
    assert weights != "none"
    return initialise(network, torch_generator(seed, architecture.id, weights), weights)


def generator(name: str, architecture: Architecture, seed: int) -> torch.Generator:
    return torch_generator(seed, architecture.id, name)


def make_prunable_copy(architecture: Architecture, network: Network) -> Network:
    """Build the network a second time, as zero-cost-nas does for every measure (``get_prunable_copy``)."""
    copy = build_plainly(architecture)
    copy.load_state_dict(network.state_dict())
    return copy


def score_straightforwardly(name: str, architecture: Architecture, batch: Batch) -> float:
    network = build_initialised(name, architecture, plainly=True, seed=0)
    if name in ZERO_COST_NAS:
        network = make_prunable_copy(architecture, network)
    if name in SCORES:
        return SCORES[name](network.train(), batch.images, batch.labels)
    options = STRAIGHTFORWARD_OPTIONS.get(name, {"mode": "reference"})
    return proxies.load(name).score(network, batch, generator(name, architecture, 0), **options)


def score(name: str, architecture: Architecture, batch: Batch, seed: int = 0, **options: Any) -> float:
    network = build_initialised(name, architecture, plainly=False, seed=seed)
    return proxies.load(name).score(network, batch, generator(name, architecture, seed), **options)


def score_exactly(name: str, architecture: Architecture, batch: Batch) -> float:
    if name == "zen":
        return score(name, architecture, batch, precision="float64", images=64)
    if name in ("synflow", "zico"):
        return score(name, architecture, batch, precision="float64")
    return score(name, architecture, replace(batch, images=batch.images.double()))


def measure_time(work: Callable[[], T]) -> tuple[T, float]:
    """Return the result of `work` and its processor seconds, which with one thread equal elapsed ones when idle."""
    start = time.process_time()
    value = work()
    return value, time.process_time() - start


def compare(name: str, architecture: Architecture, batch: Batch) -> Row:
    plain, plain_seconds = measure_time(lambda: score_straightforwardly(name, architecture, batch))
    value, seconds = measure_time(lambda: score(name, architecture, batch))
    true = plain if name == "ntk" else score_exactly(name, architecture, batch)
    row = {"exact": true, "value": value, "seconds": seconds, "straightforward_seconds": plain_seconds}
    if name in ZERO_COST_NAS:
        network = build_initialised(name, architecture, plainly=True, seed=0)
        row["copy_seconds"] = measure_time(lambda: make_prunable_copy(architecture, network))[1]
    return row
