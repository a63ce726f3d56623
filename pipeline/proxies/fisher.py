"""Fisher information of the layer outputs."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._host import numbers
from zenfront.pipeline.proxies._options import Mode, one_of
from zenfront.pipeline.proxies._outputs import OutputGradients
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed, tensors_of
from zenfront.spaces import Network


def fisher(network: Network, batch: Batch, generator: torch.Generator, *, mode: Mode = "paper") -> float:
    """Compute the Fisher information, a second-order estimate of the effect on the loss of removing channels.

    The score is sum_k Delta_k over the output channels k of convolutions and linear layers, with
    Delta_k = 1/2 mean_n (sum_hw a_nk dL/da_nk)^2, where a is the output of the layer and L the mean cross-entropy of
    one mini-batch.

    Args:
        network: Network with PyTorch's default weights; BN runs in train mode. Left unchanged.
        batch: Real images (N, C, H, W) and labels (N,).
        generator: Random number generator; affects the score only if the network contains dropout.
        mode: ``paper``: the formula above. ``reference``: multiply Delta_k by the fan-in of channel k, like the
            published code, which assigns the value of a channel to each of its weights before summing. The two modes
            rank networks differently.

    Returns:
        The sum, > 0; higher is better.

    Raises:
        ScoreUndefined: The loss does not depend on the output of any layer.

    Source: Turner et al., BlockSwap, ICLR 2020, arXiv:1906.04113, as in Abdelfattah et al., ICLR 2021, code
    ``fisher.py``, which uses the outputs of the layers before BN and ReLU.
    """
    multiplicity = one_of("mode", mode, {"paper": _one, "reference": _fan_in})
    parts: list[Tensor] = []

    def take(output: Tensor, gradient: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        inner = (output * gradient).flatten(2).sum(2) if output.dim() > 2 else output * gradient
        parts.append(multiplicity(weight) * inner.square().mean(0).sum() / 2)

    outputs = OutputGradients(take)
    tensors = tensors_of(network, batch.images.dtype)
    images = batch.images.contiguous(memory_format=torch.channels_last)
    with borrowed(network, generator), torch.enable_grad():
        with outputs:
            logits = functional_call(network, tensors, (images,))
        outputs.backward(F.cross_entropy(logits, batch.labels))
    total = sum(numbers(parts))
    if not total > 0:
        raise ScoreUndefined("the loss does not depend on the output of any layer")
    return total


def _one(weight: Tensor) -> int:
    return 1


def _fan_in(weight: Tensor) -> int:
    return weight[0].numel()


PROXY = Proxy(
    "fisher",
    fisher,
    "1",
    "maximise",
    "Turner et al., BlockSwap, ICLR 2020; Abdelfattah et al., ICLR 2021",
    needs=frozenset({"images", "labels", "gradients"}),
)
