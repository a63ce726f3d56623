"""The sample of networks that `gpu.py` measures, and the published way to score one."""

from typing import Any

import torch
from _straightforward import SCORES

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.spaces import Architecture, Network, Task, initialise

TASK, SPACE = Task(3, 32, 32, 10), spaces.load("anynet3")
BATCH = 32
FLOPS = 2.5e8
PUBLISHED: dict[str, dict[str, Any]] = {
    "zen": {"mode": "reference", "images": 64},
    "ntk": {"method": "exact"},
    "zico": {"mode": "reference"},
}


def on_card() -> list[str]:
    """Return the names of the scores that a device computes."""
    loaded = [proxies.load(name) for name in proxies.names()]
    return [proxy.name for proxy in loaded if not (proxy.is_cost or proxy.of_supernet)]


def draw_sample(count: int) -> list[Architecture]:
    """Draw architectures of at most `FLOPS` multiply-adds."""
    rng = numpy_generator(0, "benchmark of a GPU")
    costs = Scoring(SPACE, TASK, ["flops"], noise_batch(TASK, 2, 0), 0)
    found: list[Architecture] = []
    while len(found) < count:
        architecture = SPACE.sample(rng)
        scores = costs.score(architecture)
        if scores.failure is None and scores.values["flops"] <= FLOPS:
            found.append(architecture)
    return found


def build_as_published(name: str, architecture: Architecture, device: str) -> Network:
    """Build a network as published code does: its layers initialise themselves on the CPU."""
    with torch.random.fork_rng():
        network = SPACE.build(architecture, TASK)
    weights = proxies.load(name).weights
    assert weights != "none"
    initialise(network, torch_generator(0, architecture.id, weights), weights)
    return network.to(device)


def score_as_published(name: str, network: Network, batch: Batch) -> float:
    """Score a network as published code does."""
    if name in SCORES:
        return SCORES[name](network.train(), batch.images, batch.labels)
    generator = torch_generator(0, name, device=batch.images.device)
    return proxies.load(name).score(network, batch, generator, **PUBLISHED[name])
