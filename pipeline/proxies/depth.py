"""Number of convolutions on the longest path."""

import torch

from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._trace import trace
from zenfront.spaces import Network


def depth(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Number of convolution layers on the longest path from the input to the output.

    A projection shortcut lies on a path of its own; linear layers do not count. What is multiplied by zero is no path.

    Args:
        network: On the meta device.
        batch: Its shape counts: (N, C, H, W).
        generator: Unused.

    Returns:
        The number of layers; 0 when no path leads through a convolution.

    Source: by definition; ZenNAS (ICCV 2021) bounds it and then maximises the Zen-score.
    """
    return float(trace(network, batch.images.shape[1:]).longest(lambda call: int(call.is_convolution)))


PROXY = Proxy("depth", depth, "convolutions", "minimise", "by definition", weights="none")
