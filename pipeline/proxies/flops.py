"""Multiply-adds of one image."""

import torch

from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._trace import trace
from zenfront.spaces import Network


def flops(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Multiply-adds of the convolutions and linear layers for one image, each once, without biases.

    Normalisation, activations, pooling and additions count nothing: the convention of the field (pycls,
    NATS-Bench). torch's own counter reports twice that; ZenNAS adds H W C for a BN and divides a projection shortcut
    by the stride twice.

    Args:
        network: On the meta device.
        batch: Its shape counts: (N, C, H, W).
        generator: Unused.

    Returns:
        The number of multiply-adds, > 0; lower is cheaper.

    Raises:
        NotImplementedError: A layer's parameters are used by a function whose cost is not known.

    Source: Radosavovic et al., Designing network design spaces, CVPR 2020 (pycls, ``net_complexity``).
    """
    return float(sum(call.multiply_adds for call in trace(network, batch.images.shape[1:]).calls))


PROXY = Proxy("flops", flops, "multiply-adds", "minimise", "pycls, net_complexity (CVPR 2020)", weights="none")
