"""Memory that inference needs."""

import torch

from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._trace import trace
from zenfront.spaces import Network

BYTES = 4  # float32


def peak_memory(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Bytes of parameters, buffers and simultaneously needed activations at inference, for one image in float32.

    Computed, not measured: every call's result takes memory from the call to its last use, and nothing is computed in
    place. Workspaces of the kernels are not known and not counted.

    Args:
        network: On the meta device.
        batch: Its shape counts: (N, C, H, W).
        generator: Unused.

    Returns:
        Bytes; lower is cheaper.

    Source: by definition; peak memory as in Lin et al., MCUNet, NeurIPS 2020, arXiv:2007.10319, but with parameters.
    """
    held = sum(tensor.numel() for tensor in (*network.parameters(), *network.buffers()))
    return float(BYTES * (held + trace(network, batch.images.shape[1:]).peak_elements()))


PROXY = Proxy("peak_memory", peak_memory, "bytes", "minimise", "by definition", weights="none")
