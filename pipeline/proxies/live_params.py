"""Number of parameters on which the output can depend."""

import torch

from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._trace import trace
from zenfront.spaces import Network


def live_params(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Count the parameters on paths from the input to the output.

    Branches that do not lead to the output, do not start at the input or are multiplied by zero are not counted. A
    shared parameter counts once. On NAS-Bench-201 this baseline ranks architectures better than any proxy of its day,
    so a proxy that does not beat it has no value there.

    Args:
        network: Network on the meta device.
        batch: Batch of which only the image shape (C, H, W) is used.
        generator: Unused.

    Returns:
        The number of parameters, at most `params`; 0 if no path leads to the output.

    Source: by definition.
    """
    calls = trace(network, batch.images.shape[1:]).live()
    parameters = {id(parameter): parameter for call in calls for parameter in call.parameters}
    return float(sum(parameter.numel() for parameter in parameters.values()))


PROXY = Proxy("live_params", live_params, "parameters", "minimise", "by definition", weights="none")
