"""Number of output elements of the convolutions and linear layers."""

import torch

from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._trace import trace
from zenfront.spaces import Network


def activations(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Count the output elements of all convolutions and linear layers for one image.

    Activations predict the run time on accelerators better than multiply-adds.

    Args:
        network: Network on the meta device.
        batch: Batch of which only the image shape (C, H, W) is used.
        generator: Unused.

    Returns:
        The number of elements; lower is cheaper.

    Source: Radosavovic et al., Designing network design spaces, CVPR 2020 (pycls, ``net_complexity``).
    """
    return float(sum(call.shape.numel() for call in trace(network, batch.images.shape[1:]).calls if call.is_product))


PROXY = Proxy(
    "activations",
    activations,
    "elements",
    "minimise",
    "pycls, net_complexity (CVPR 2020)",
    weights="none",
    adds_up=True,
)
