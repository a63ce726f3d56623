"""NASWOT: separation of the images by the states of the ReLUs."""

import torch

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._activations import count_agreements
from zenfront.pipeline.proxies._host import to_host
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network


def naswot(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Compute the log determinant of the kernel of binary ReLU states.

    The score is log |det K| with K_ij = N_A - Hamming(c_i, c_j), where c_i in {0, 1}^N_A are the states of all N_A
    ReLU units on image i.

    Args:
        network: Network with PyTorch's default weights; BN runs in train mode. Left unchanged.
        batch: Real images (N, C, H, W); the labels are unused.
        generator: Random number generator; affects the score only if the network contains dropout.

    Returns:
        The log determinant in nats. Higher values separate the images better. The score grows with the size of the
        network like N log N_A.

    Raises:
        ScoreUndefined: The network has no ReLU, or two images have the same states (K is singular).

    Source: Mellor et al., Neural architecture search without training, ICML 2021, arXiv:2006.04647, eq. 2 and 3.
    Deviation: all ReLU units count, including those that do not lead to the output, which the published code skips by
    means of a backward hook. Known errors of the published code: a bare except hides failures; float32 sums overflow on
    large networks.
    """
    with borrowed(network, generator):
        agreements, units = count_agreements(network, batch.images)
    (kernel,) = to_host(agreements)
    if kernel.clone().fill_diagonal_(0).max() >= units:
        raise ScoreUndefined("two images have the same states of all ReLUs, so the kernel is singular")
    sign, value = torch.linalg.slogdet(kernel)
    if not sign > 0:
        raise ScoreUndefined("the kernel of ReLU states is singular")
    return float(value)


PROXY = Proxy("naswot", naswot, "nats", "maximise", "Mellor et al., ICML 2021, eq. 3", needs=frozenset({"images"}))
