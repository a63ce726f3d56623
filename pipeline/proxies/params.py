"""Number of parameters."""

import torch

from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.spaces import Network


def params(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Count the trainable parameters: all weights and biases, including two for each channel of a norm.

    ZenNAS' ``get_model_size`` instead counts one for each channel of a norm and one for all biases of a linear layer.

    Args:
        network: Network on any device.
        batch: Unused.
        generator: Unused.

    Returns:
        The number of parameters; lower is cheaper.

    Source: by definition; agrees with pycls and NATS-Bench.
    """
    return float(sum(parameter.numel() for parameter in network.parameters()))


PROXY = Proxy("params", params, "parameters", "minimise", "by definition", weights="none", adds_up=True)
