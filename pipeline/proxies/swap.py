"""SWAP: number of distinct responses of the ReLU units to a sample of images."""

import math

import torch
from torch import Tensor

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._activations import flatten_units, watch_relus
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network

BITS = 24
"""Images whose states a float32 holds exactly."""


def swap(network: Network, batch: Batch, generator: torch.Generator, *, mu: float = 0.0, sigma: float = 0.0) -> float:
    """Count the distinct sample-wise activation patterns.

    SWAP = |{(s_1(v), ..., s_N(v)) : v}|, where s_n(v) in {0, 1} is the state of unit v of a ReLU on feature maps for
    image n. The regularised score is multiplied by exp(-(P - mu)^2 / sigma), where P is the number of parameters.

    Args:
        network: Network with PyTorch's default weights; BN runs in train mode. Left unchanged.
        batch: Real images (N, C, H, W); the labels are unused.
        generator: Random number generator; affects the score only if the network contains dropout.
        mu: Preferred number of parameters in the regularised score.
        sigma: Width of the preference in squared parameters; 0 disables the regularisation.

    Returns:
        The score; higher is more expressive. Without regularisation it lies between 1 and min(units, 2^N).

    Raises:
        ScoreUndefined: The network has no ReLU on feature maps.

    Source: Peng et al., SWAP-NAS, ICLR 2024, arXiv:2403.04161.
    """
    powers = _powers(len(batch.images)).to(batch.images)
    patterns: list[Tensor] = []

    def take(output: Tensor) -> None:
        if output.dim() == 4:
            patterns.append(powers @ flatten_units(output).sign())

    with borrowed(network, generator):
        watch_relus(network, batch.images, take)
    if not patterns:
        raise ScoreUndefined("the network has no ReLU on feature maps")
    count = float(_count_columns(torch.cat(patterns, 1)))
    if not sigma:
        return count
    size = sum(parameter.numel() for parameter in network.parameters())
    return count * math.exp(-((size - mu) ** 2) / sigma)


def _powers(images: int) -> Tensor:
    """Return the powers of two that write the states of the images into words, (words, images)."""
    place = torch.arange(images)
    return torch.where(place // BITS == torch.arange(-(-images // BITS))[:, None], 2.0 ** (place % BITS), 0)


def _count_columns(words: Tensor) -> int:
    """Count the distinct columns of a matrix of words, (words, units)."""
    if len(words) > 2:
        distinct: Tensor = torch.unique(words, dim=1)
        return distinct.shape[1]
    both = words.double()
    return len(torch.unique(both[0] + both[1] * 2.0**BITS if len(words) == 2 else both[0]))


PROXY = Proxy("swap", swap, "patterns", "maximise", "Peng et al., SWAP-NAS, ICLR 2024", needs=frozenset({"images"}))
