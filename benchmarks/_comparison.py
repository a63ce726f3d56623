"""One proxy on one network: the straightforward way, ours and the exact value, one after the other."""

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
STRAIGHTFORWARD_OPTIONS: dict[str, dict[str, Any]] = {"zen": {"mode": "reference", "images": 64}}
OF_ZERO_COST_NAS = ("grad_norm", "snip", "synflow", "fisher")
Row = dict[str, float]


def plainly_built(architecture: Architecture) -> Network:
    """As the published code builds: on the CPU, every layer initialising itself."""
    with torch.random.fork_rng(devices=[]):
        return SPACE.build(architecture, TASK)


def ready(name: str, architecture: Architecture, *, plainly: bool, seed: int) -> Network:
    network = plainly_built(architecture) if plainly else SPACE.network(architecture, TASK)
    weights = proxies.load(name).weights
    assert weights != "none"
    return initialise(network, torch_generator(seed, architecture.id, weights), weights)


def generator(name: str, architecture: Architecture, seed: int) -> torch.Generator:
    return torch_generator(seed, architecture.id, name)


def prunable_copy(architecture: Architecture, network: Network) -> Network:
    """As zero-cost-nas makes one for every measure (``get_prunable_copy``): the network is built a second time."""
    copy = plainly_built(architecture)
    copy.load_state_dict(network.state_dict())
    return copy


def straightforward(name: str, architecture: Architecture, batch: Batch) -> float:
    network = ready(name, architecture, plainly=True, seed=0)
    if name in OF_ZERO_COST_NAS:
        network = prunable_copy(architecture, network)
    if name in SCORES:
        return SCORES[name](network.train(), batch.images, batch.labels)
    options = STRAIGHTFORWARD_OPTIONS.get(name, {"mode": "reference"})
    return proxies.load(name).score(network, batch, generator(name, architecture, 0), **options)


def ours(name: str, architecture: Architecture, batch: Batch, seed: int = 0, **options: Any) -> float:
    network = ready(name, architecture, plainly=False, seed=seed)
    return proxies.load(name).score(network, batch, generator(name, architecture, seed), **options)


def exact(name: str, architecture: Architecture, batch: Batch) -> float:
    if name == "zen":
        return ours(name, architecture, batch, precision="float64", images=64)
    if name in ("synflow", "zico"):
        return ours(name, architecture, batch, precision="float64")
    return ours(name, architecture, replace(batch, images=batch.images.double()))


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Its result and the seconds of processor time: with one thread the same as by the clock on an idle machine."""
    start = time.process_time()
    value = work()
    return value, time.process_time() - start


def compare(name: str, architecture: Architecture, batch: Batch) -> Row:
    plain, plain_seconds = timed(lambda: straightforward(name, architecture, batch))
    value, seconds = timed(lambda: ours(name, architecture, batch))
    true = plain if name == "ntk" else exact(name, architecture, batch)
    row = {"exact": true, "value": value, "seconds": seconds, "straightforward_seconds": plain_seconds}
    if name in OF_ZERO_COST_NAS:
        network = ready(name, architecture, plainly=True, seed=0)
        row["copy_seconds"] = timed(lambda: prunable_copy(architecture, network))[1]
    return row
