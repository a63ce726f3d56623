"""SNIP: how much the loss depends on the connections."""

import torch

from zenfront.pipeline.proxies._gradients import loss_gradients
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network


def snip(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Connection sensitivity: sum |theta dL/dtheta| over the weights of convolutions and linear layers.

    The derivative of the loss with respect to a multiplicative mask on each weight, at mask 1; L is the mean
    cross-entropy of one mini-batch.

    Args:
        network: With PyTorch's default weights; BN in train mode. Left as found.
        batch: images (N, C, H, W), real, and labels (N,).
        generator: Source of all randomness (there is none without dropout).

    Returns:
        The sum, > 0, dimensionless; higher is better.

    Raises:
        ScoreUndefined: The loss does not depend on the weights, or is not finite.

    Source: Lee, Ajanthan, Torr, SNIP, ICLR 2019, arXiv:1810.02340, summed as in Abdelfattah et al., Zero-cost
    proxies for lightweight NAS, ICLR 2021, arXiv:2101.08134. Known error of their code: on running out of memory it
    splits the batch and rescales the score.
    """
    with borrowed(network, generator):
        weights = loss_gradients(network, batch)
    return sum(float((w.value * w.gradient).abs().sum()) for w in weights)


PROXY = Proxy(
    "snip",
    snip,
    "1",
    "maximise",
    "Abdelfattah et al., ICLR 2021, after Lee et al., ICLR 2019",
    needs=frozenset({"images", "labels", "gradients"}),
)
