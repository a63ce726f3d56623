"""Seconds of the parts of a candidate: the network is built, its weights are drawn, copied, and the passes run."""

from collections.abc import Sequence

import numpy as np
from _gpu_sample import BATCH, SPACE, TASK
from _gpu_training import timed

from zenfront.pipeline import proxies
from zenfront.pipeline.device import deterministic_algorithms
from zenfront.pipeline.scoring import noise_batch
from zenfront.pipeline.seeds import torch_generator
from zenfront.spaces import Architecture, initialise

PHASES = ("build", "initialise", "copy", "passes")


def _seconds(name: str, architecture: Architecture, device: str, drawn_there: bool) -> list[float]:
    proxy, batch = proxies.load(name), noise_batch(TASK, BATCH, 0).to(device)
    weights = proxy.weights
    assert weights != "none"

    def draw(target: str) -> float:
        generator = torch_generator(0, architecture.id, weights, device=device if drawn_there else "cpu")
        network = SPACE.network(architecture, TASK)
        return timed(lambda: initialise(network, generator, weights, target))[1]

    network, build = timed(lambda: SPACE.network(architecture, TASK))
    here = 0.0 if drawn_there else draw("cpu")
    initialise(network, torch_generator(0, architecture.id, weights), weights, device)
    there = draw(device)
    drawn, copied = (there, 0.0) if drawn_there else (here, max(there - here, 0.0))
    with deterministic_algorithms(device, tf32=False):
        generator = torch_generator(0, name, device=device)
        passes = timed(lambda: proxy.score(network, batch, generator))[1]
    return [build, drawn, copied, passes]


def phases(name: str, sample: Sequence[Architecture], device: str, *, drawn_there: bool) -> dict[str, float]:
    """Return the median seconds of each phase, kernels loaded before."""
    for architecture in sample:
        _seconds(name, architecture, device, drawn_there)
    found = np.median([_seconds(name, architecture, device, drawn_there) for architecture in sample], axis=0)
    return {phase: float(seconds) for phase, seconds in zip(PHASES, found, strict=True)}


def shares(row: dict[str, float]) -> str:
    """Return the phases in per cent of their sum."""
    total = sum(row.values()) or float("nan")
    return " / ".join(f"{100 * row[phase] / total:.0f}" for phase in PHASES)
