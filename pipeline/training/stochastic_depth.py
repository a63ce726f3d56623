"""Stochastic depth: residual branches that are dropped at random in training."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from zenfront.spaces import Residual


def residuals(network: nn.Module) -> list[Residual]:
    """Return the residual connections of a network, from the images to the head."""
    return [module for module in network.modules() if isinstance(module, Residual)]


def draw_factors(network: nn.Module, rate: float, count: int, generator: np.random.Generator | None) -> Tensor:
    """Draw which of its residual branches each image passes.

    Branch l of L is dropped with the probability p_l = rate * l / L; its factor is 0 then, and else 1 / (1 - p_l), so
    that its mean is 1.

    Args:
        network: Network with L residual connections.
        rate: Probability with which the last branch is dropped, 0 <= rate < 1.
        count: Number of images N.
        generator: Source of all randomness; only a rate of 0 needs none.

    Returns:
        Factors (L, N), float32, on the CPU; (0, N) if the rate is 0.

    Source: Huang et al., ECCV 2016, arXiv:1603.09382, sec. 3, with the linear decay of eq. 4; per image, and scaled in
    training instead of in evaluation, as in timm.
    """
    if not rate:
        return torch.empty(0, count)
    assert generator, "stochastic depth needs a generator"
    depth = len(residuals(network))
    kept = 1 - rate * np.arange(1, depth + 1)[:, None] / max(1, depth)
    return torch.from_numpy((generator.random((depth, count)) < kept) / kept).float()


@contextmanager
def scaled_branches(network: nn.Module, factors: Tensor) -> Iterator[None]:
    """Multiply the residual branches of a network by factors (L, N) of a mini-batch (N, C, H, W); none if L is 0."""
    connections = residuals(network) if len(factors) else []
    for connection, factor in zip(connections, factors, strict=True):
        connection.factor = factor[:, None, None, None]
    try:
        yield
    finally:
        for connection in connections:
            connection.factor = None
