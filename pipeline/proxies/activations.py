"""Number of elements that the convolutions put out."""

import torch

from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._trace import trace
from zenfront.spaces import Network


def activations(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Elements of the outputs of all convolutions and linear layers for one image.

    Predicts run time on accelerators better than multiply-adds do.

    Args:
        network: On the meta device.
        batch: Its shape counts: (N, C, H, W).
        generator: Unused.

    Returns:
        The number of elements; lower is cheaper.

    Source: Radosavovic et al., Designing network design spaces, CVPR 2020 (pycls, ``net_complexity``).
    """
    return float(sum(call.shape.numel() for call in trace(network, batch.images.shape[1:]).calls if call.is_product))


PROXY = Proxy("activations", activations, "elements", "minimise", "pycls, net_complexity (CVPR 2020)", weights="none")
