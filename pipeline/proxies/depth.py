"""Number of convolutions on the longest path."""

import torch

from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._trace import trace
from zenfront.spaces import Network


def depth(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Count the convolution layers on the longest path from the input to the output.

    A projection shortcut forms a separate path. Linear layers do not count, and a multiplication by zero ends a path.

    Args:
        network: Network on the meta device.
        batch: Batch of which only the image shape (C, H, W) is used.
        generator: Unused.

    Returns:
        The number of layers; 0 if no path contains a convolution.

    Source: by definition; ZenNAS (ICCV 2021) bounds it and then maximises the Zen-score.
    """
    return float(trace(network, batch.images.shape[1:]).longest(lambda call: int(call.is_convolution)))


PROXY = Proxy("depth", depth, "convolutions", "minimise", "by definition", weights="none", adds_up=True)
