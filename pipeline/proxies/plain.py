"""Plain: signed sensitivity of the loss to the connections."""

import torch

from zenfront.pipeline.proxies._gradients import loss_gradients
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network


def plain(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Compute the signed connection sensitivity, sum theta dL/dtheta.

    The sum is over the weights of convolutions and linear layers. This is SNIP without the absolute value. Weights
    directly before a BN contribute nothing, because the loss does not depend on their scale.

    Args:
        network: Network with PyTorch's default weights; BN runs in train mode. Left unchanged.
        batch: Real images (N, C, H, W) and labels (N,).
        generator: Random number generator; affects the score only if the network contains dropout.

    Returns:
        The sum, of either sign, dimensionless; higher is better.

    Raises:
        ScoreUndefined: The loss does not depend on the weights, or is not finite.

    Source: Abdelfattah et al., Zero-cost proxies for lightweight NAS, ICLR 2021, code ``plain.py``.
    """
    with borrowed(network, generator):
        gradients = loss_gradients(network, batch)
    return sum(gradients.read([product.sum() for product in gradients.products()]))


PROXY = Proxy(
    "plain",
    plain,
    "1",
    "maximise",
    "Abdelfattah et al., ICLR 2021",
    needs=frozenset({"images", "labels", "gradients"}),
)
