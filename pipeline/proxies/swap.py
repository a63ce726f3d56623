"""SWAP: how many different ways the ReLU units respond to a sample."""

import math

import numpy as np
import torch
from torch import Tensor

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._activations import watch_relus
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network


def swap(network: Network, batch: Batch, generator: torch.Generator, *, mu: float = 0.0, sigma: float = 0.0) -> float:
    """Number of distinct sample-wise activation patterns.

    SWAP = |{(s_1(v), ..., s_N(v)) : v}|, s_n(v) in {0, 1} the state of unit v of a convolutional ReLU on image n;
    regularised, times exp(-(P - mu)^2 / sigma), P the number of parameters.

    Args:
        network: With PyTorch's default weights; BN in train mode. Left as found.
        batch: images (N, C, H, W), real; labels unused.
        generator: Source of all randomness (there is none without dropout).
        mu: Preferred number of parameters of the regularised score.
        sigma: Width of the preference, in squared parameters; 0: not regularised.

    Returns:
        The score, at least 1 and at most min(units, 2^N) unless regularised; higher is more expressive.

    Raises:
        ScoreUndefined: There is no ReLU on feature maps.

    Source: Peng et al., SWAP-NAS, ICLR 2024, arXiv:2403.04161.
    """
    patterns: list[np.ndarray] = []

    def take(output: Tensor) -> None:
        if output.dim() == 4:
            states = (output > 0).flatten(1).T.cpu().numpy()
            patterns.append(np.unique(np.packbits(states, axis=1), axis=0))

    with borrowed(network, generator):
        watch_relus(network, batch.images, take)
    if not patterns:
        raise ScoreUndefined("there is no ReLU on feature maps")
    count = float(len(np.unique(np.concatenate(patterns), axis=0)))
    if not sigma:
        return count
    size = sum(parameter.numel() for parameter in network.parameters())
    return count * math.exp(-((size - mu) ** 2) / sigma)


PROXY = Proxy("swap", swap, "patterns", "maximise", "Peng et al., SWAP-NAS, ICLR 2024", needs=frozenset({"images"}))
