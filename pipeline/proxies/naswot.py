"""NASWOT: how differently the ReLUs respond to different images."""

import torch

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._activations import agreement
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network


def naswot(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Log determinant of the kernel of binary ReLU states.

    log |det K|, K_ij = N_A - Hamming(c_i, c_j), c_i in {0, 1}^N_A the states of all N_A ReLU units on image i.

    Args:
        network: With PyTorch's default weights; BN in train mode. Left as found.
        batch: images (N, C, H, W), real; labels unused.
        generator: Source of all randomness (there is none without dropout).

    Returns:
        The log determinant (nats); higher separates the images better. Grows like N log N_A with the network's size.

    Raises:
        ScoreUndefined: There is no ReLU, or two images have the same states (K is singular).

    Source: Mellor et al., Neural architecture search without training, ICML 2021, arXiv:2006.04647, eq. 2 and 3.
    Deviations: all ReLU units count, also those off the output's path, which the code skips by a backward hook. Known
    errors of the code: a bare except hides failures; float32 sums overflow on large networks.
    """
    with borrowed(network, generator):
        kernel, units = agreement(network, batch.images)
    hamming = units - kernel + units * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    if hamming.min() <= 0:
        raise ScoreUndefined("two images have the same states of all ReLUs: the kernel is singular")
    sign, value = torch.linalg.slogdet(kernel)
    if not sign > 0:
        raise ScoreUndefined("the kernel of ReLU states is singular")
    return float(value)


PROXY = Proxy("naswot", naswot, "nats", "maximise", "Mellor et al., ICML 2021, eq. 3", needs=frozenset({"images"}))
