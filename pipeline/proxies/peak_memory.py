"""Peak memory of an inference."""

import torch

from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._trace import trace
from zenfront.spaces import Network

BYTES = 4  # float32


def peak_memory(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Compute the peak memory of parameters, buffers and activations during inference on one image in float32.

    The memory is computed, not measured. The result of every call occupies memory from the call to its last use, and no
    operation works in place. Workspaces of the kernels are unknown and therefore not counted.

    Args:
        network: Network on the meta device.
        batch: Batch of which only the image shape (C, H, W) is used.
        generator: Unused.

    Returns:
        The peak memory in bytes; lower is cheaper.

    Source: by definition; as in Lin et al., MCUNet, NeurIPS 2020, arXiv:2007.10319, but including parameters.
    """
    held = sum(tensor.numel() for tensor in (*network.parameters(), *network.buffers()))
    return float(BYTES * (held + trace(network, batch.images.shape[1:]).peak_elements()))


PROXY = Proxy("peak_memory", peak_memory, "bytes", "minimise", "by definition", weights="none")
