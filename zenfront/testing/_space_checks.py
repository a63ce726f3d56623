"""Assertions on the architectures of a search space, and the samples that they are made on."""

import re

import pytest
import torch
from torch import nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.spaces import Architecture, Network, Space, Task

SEED = 4


def samples(space: Space, count: int, purpose: str) -> list[Architecture]:
    """Draw architectures; the same for the same purpose."""
    generator = numpy_generator(SEED, space.name, purpose)
    return [space.sample(generator) for _ in range(count)]


def valid_samples(space: Space, count: int, purpose: str, task: Task) -> list[Architecture]:
    """Draw architectures that can be built for the task."""
    generator = numpy_generator(SEED, space.name, purpose)
    valid: list[Architecture] = []
    for _ in range(1000):
        architecture = space.sample(generator)
        if space.violation(architecture, task) is None:
            valid.append(architecture)
        if len(valid) == count:
            return valid
    raise AssertionError(f"only {len(valid)} of 1,000 samples can be built")


def parameters(space: Space, architecture: Architecture, task: Task) -> int:
    """Count the parameters of an architecture."""
    return sum(parameter.numel() for parameter in space.network(architecture, task).parameters())


def assert_legal(space: Space, architecture: Architecture, task: Task) -> None:
    """Assert that an architecture is in canonical form, and that it is built or its violation is stated."""
    assert architecture.space == space.name
    assert tuple(name for name, _ in architecture.genes) == tuple(space.distributions)
    assert space.canonical(architecture) == architecture
    assert space.decode(space.encode(architecture)) == architecture
    reason = space.violation(architecture, task)
    if reason is not None:
        assert reason.strip()
        with pytest.raises(UserError, match=re.escape(reason)):
            space.network(architecture, task)
        return
    network = space.network(architecture, task)
    assert {tensor.device.type for tensor in [*network.parameters(), *network.buffers()]} == {"meta"}


def assert_shapes(space: Space, architecture: Architecture, task: Task) -> None:
    """Assert that features are (N, C, H, W) and logits (N, K)."""
    network = space.network(architecture, task).eval()
    images = torch.empty(2, task.channels, task.height, task.width, device="meta")
    with torch.no_grad():
        features = network.features(images)
        assert features.ndim == 4
        assert network.head(features).shape == (2, task.out_features)


def symmetric(network: Network) -> Network:
    """Give weights that depend on a kernel's shape alone, in double precision; batch norm uses the batch.

    Two networks that differ in the order of equal layers or of concatenated channels then give equal outputs.
    """
    network.to_empty(device="cpu").double()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            kernel = module.weight.shape[2:]
            values = torch.randn(kernel, generator=torch_generator(SEED, str(tuple(kernel))), dtype=torch.float64)
            module.weight.data = values.expand(module.weight.shape) / module.weight[0].numel()
            if module.bias is not None:
                module.bias.data.fill_(0.1)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return network
