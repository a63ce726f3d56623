"""Number of multiply-adds for one image."""

import torch

from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._trace import trace
from zenfront.spaces import Network


def flops(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Count the multiply-adds of the convolutions and linear layers for one image, without biases.

    A multiply-add counts once. Normalisation, activations, pooling and additions are not counted, which is the
    convention of the field (pycls, NATS-Bench). The counter in PyTorch reports twice this number. ZenNAS adds H W C for
    each BN and divides the cost of a projection shortcut by the stride twice.

    Args:
        network: Network on the meta device.
        batch: Batch of which only the image shape (C, H, W) is used.
        generator: Unused.

    Returns:
        The number of multiply-adds, > 0; lower is cheaper.

    Raises:
        NotImplementedError: A parameter is passed to a function whose cost is not known.

    Source: Radosavovic et al., Designing network design spaces, CVPR 2020 (pycls, ``net_complexity``).
    """
    return float(sum(call.multiply_adds for call in trace(network, batch.images.shape[1:]).calls))


PROXY = Proxy(
    "flops", flops, "multiply-adds", "minimise", "pycls, net_complexity (CVPR 2020)", weights="none", adds_up=True
)
