"""SNIP: sensitivity of the loss to the connections."""

import torch

from zenfront.pipeline.proxies._gradients import loss_gradients
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network


def snip(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Compute the connection sensitivity, sum |theta dL/dtheta|.

    The sum is over the weights of convolutions and linear layers. Each term is the absolute derivative of the loss with
    respect to a multiplicative mask on the weight, at mask 1. L is the mean cross-entropy of one mini-batch.

    Args:
        network: Network with PyTorch's default weights; BN runs in train mode. Left unchanged.
        batch: Real images (N, C, H, W) and labels (N,).
        generator: Random number generator; affects the score only if the network contains dropout.

    Returns:
        The sum, > 0, dimensionless; higher is better.

    Raises:
        ScoreUndefined: The loss does not depend on the weights, or is not finite.

    Source: Lee, Ajanthan, Torr, SNIP, ICLR 2019, arXiv:1810.02340, summed as in Abdelfattah et al., Zero-cost
    proxies for lightweight NAS, ICLR 2021, arXiv:2101.08134. Known error of their code: when it runs out of memory, it
    splits the batch and thereby rescales the score.
    """
    with borrowed(network, generator):
        gradients = loss_gradients(network, batch)
    return sum(gradients.read([product.abs_().sum() for product in gradients.products()]))


PROXY = Proxy(
    "snip",
    snip,
    "1",
    "maximise",
    "Abdelfattah et al., ICLR 2021, after Lee et al., ICLR 2019",
    needs=frozenset({"images", "labels", "gradients"}),
)
