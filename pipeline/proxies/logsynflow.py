"""LogSynflow: synaptic flow with its gradients on a logarithmic scale."""

import torch

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.pipeline.proxies._synflow import Positive
from zenfront.spaces import Network


def logsynflow(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Synaptic flow with damped gradients: sum |theta| log(1 + dR/d|theta|) over convolutions and linear layers.

    R = 1^T f(1; |theta|) for one image of ones, all parameters positive and norms switched off.

    Args:
        network: With PyTorch's default weights. Left as found.
        batch: Only the shape of an image and the device count.
        generator: Source of all randomness (there is none without dropout).

    Returns:
        The sum, > 0; higher is better.

    Raises:
        ScoreUndefined: No path leads from input to output, or the flow overflows float64.

    Source: Cavagnero et al., FreeREA, WACV 2023, arXiv:2207.05135.
    """
    positive = Positive()
    with borrowed(network, generator), torch.enable_grad():
        gradients = positive.gradients(positive.flow(network, batch))
    total = sum(float((weight * gradient.log1p()).sum()) for weight, gradient in gradients)
    if not total > 0:
        raise ScoreUndefined("no path leads from the input to the output")
    return total


PROXY = Proxy(
    "logsynflow",
    logsynflow,
    "1",
    "maximise",
    "Cavagnero et al., FreeREA, WACV 2023",
    needs=frozenset({"gradients"}),
)
