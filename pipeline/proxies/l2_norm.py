"""L2 norm of the weights."""

import torch

from zenfront.pipeline.proxies._gradients import weight_names
from zenfront.pipeline.proxies._host import numbers
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.spaces import Network


def l2_norm(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Compute the sum of the norms of the weights of convolutions and linear layers, sum_l ||W_l||_2.

    With PyTorch's default weights ||W_l||^2 is about (output channels) / 3, so the score measures width and depth.

    Args:
        network: Network with PyTorch's default weights. Left unchanged.
        batch: Unused.
        generator: Unused.

    Returns:
        The sum, > 0; higher values mean larger networks.

    Raises:
        ScoreUndefined: The network has neither a convolution nor a linear layer.

    Source: Abdelfattah et al., ICLR 2021, code ``l2_norm.py`` (never registered there); NAS-Bench-Suite-Zero.
    """
    parameters = dict(network.named_parameters())
    return sum(numbers(torch._foreach_norm([parameters[name].detach() for name in weight_names(network)])))


PROXY = Proxy("l2_norm", l2_norm, "1", "maximise", "Abdelfattah et al., ICLR 2021; NAS-Bench-Suite-Zero")
