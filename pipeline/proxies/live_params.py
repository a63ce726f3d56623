"""Number of parameters that the output can depend on."""

import torch

from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._trace import trace
from zenfront.spaces import Network


def live_params(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Number of parameters on paths from the input to the output.

    Branches that lead nowhere, come from nowhere or are multiplied by zero do not count, a shared parameter counts
    once. On NAS-Bench-201 this baseline ranks better than any proxy of its day: what does not beat it is worth nothing.

    Args:
        network: On the meta device.
        batch: Its shape counts: (N, C, H, W).
        generator: Unused.

    Returns:
        The number of parameters, at most `params`; 0 when no path leads to the output.

    Source: by definition.
    """
    calls = trace(network, batch.images.shape[1:]).live()
    parameters = {id(parameter): parameter for call in calls for parameter in call.parameters}
    return float(sum(parameter.numel() for parameter in parameters.values()))


PROXY = Proxy("live_params", live_params, "parameters", "minimise", "by definition", weights="none")
