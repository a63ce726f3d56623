"""Norm of the gradient of the loss."""

import torch

from zenfront.pipeline.proxies._gradients import loss_gradients
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network


def grad_norm(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Compute the sum of the gradient norms of all convolutions and linear layers, sum_l ||dL/dW_l||_2.

    L is the mean cross-entropy of one mini-batch. ZenNAS instead takes a single norm over all parameters, with random
    labels.

    Args:
        network: Network with PyTorch's default weights; BN runs in train mode. Left unchanged.
        batch: Real images (N, C, H, W) and labels (N,).
        generator: Random number generator; affects the score only if the network contains dropout.

    Returns:
        The sum, > 0; higher is better.

    Raises:
        ScoreUndefined: The loss does not depend on the weights, or is not finite.

    Source: Abdelfattah et al., Zero-cost proxies for lightweight NAS, ICLR 2021, arXiv:2101.08134, sec. 3.2.
    """
    with borrowed(network, generator):
        gradients = loss_gradients(network, batch)
    return sum(gradients.read(torch._foreach_norm([w.gradient for w in gradients.weights])))


PROXY = Proxy(
    "grad_norm",
    grad_norm,
    "1",
    "maximise",
    "Abdelfattah et al., ICLR 2021, sec. 3.2",
    needs=frozenset({"images", "labels", "gradients"}),
)
