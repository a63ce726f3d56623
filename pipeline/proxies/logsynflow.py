"""LogSynflow: synaptic flow with gradients on a logarithmic scale."""

import math

import torch

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._host import numbers
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.pipeline.proxies._synflow import Positive
from zenfront.spaces import Network


def logsynflow(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Compute the synaptic flow with logarithmic gradients, sum |theta| log(1 + dR/d|theta|).

    The sum is over the weights of convolutions and linear layers. R = 1^T f(1; |theta|) is the output for one image of
    ones, with all parameters replaced by their absolute values and norms by the identity.

    Args:
        network: Network with PyTorch's default weights. Left unchanged.
        batch: Batch of which only the image shape and the device are used.
        generator: Random number generator; affects the score only if the network contains dropout.

    Returns:
        The sum, > 0; higher is better.

    Raises:
        ScoreUndefined: No path leads from the input to the output, or the flow overflows float64.

    Source: Cavagnero et al., FreeREA, WACV 2023, arXiv:2207.05135.
    """
    positive = Positive()
    with borrowed(network, generator), torch.enable_grad():
        gradients = positive.gradients(positive.flow(network, batch))
    total = sum(numbers([(weight * gradient.log1p()).sum() for weight, gradient in gradients]))
    if not math.isfinite(total):  # as it is where a gradient is not
        raise ScoreUndefined("the synaptic flow overflows float64")
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
