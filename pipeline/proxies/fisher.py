"""Fisher information of the layers' outputs."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from pipeline.errors import ScoreUndefined
from pipeline.proxies._activations import CONVOLUTIONS
from pipeline.proxies._gradients import weight_names
from pipeline.proxies._options import Mode, one_of
from pipeline.proxies._proxy import Batch, Proxy
from pipeline.proxies._state import borrowed, tensors_of
from spaces import Network


class _FisherTrace(TorchFunctionMode):
    """Collects sum_k Delta_k of every convolution and linear layer while a backward pass comes through.

    The weights are constants here: the gradients of the outputs need no gradients of weights.
    """

    def __init__(self, weigh: Callable[[Tensor], int]) -> None:
        super().__init__()
        self._weigh = weigh
        self.parts: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in CONVOLUTIONS or func is F.linear:
            self._watch(result, self._weigh(args[1]))
        return result

    def _watch(self, output: Tensor, weight: int) -> None:
        if not output.requires_grad:
            output.requires_grad_()
        value = output.detach()

        def take(gradient: Tensor) -> None:
            inner = (value * gradient).flatten(2).sum(2) if value.dim() > 2 else value * gradient
            self.parts.append(weight * inner.square().mean(0).sum() / 2)

        output.register_hook(take)  # type: ignore[no-untyped-call]


def fisher(network: Network, batch: Batch, generator: torch.Generator, *, mode: Mode = "paper") -> float:
    """Fisher information: the effect on the loss of removing channels, to second order.

    sum_k Delta_k over the output channels k of convolutions and linear layers,
    Delta_k = 1/2 mean_n (sum_hw a_nk dL/da_nk)^2, a the layer's output, L the mean cross-entropy of one mini-batch.

    Args:
        network: With PyTorch's default weights; BN in train mode. Left as found.
        batch: images (N, C, H, W), real, and labels (N,).
        generator: Source of all randomness (there is none without dropout).
        mode: ``paper``: as above. ``reference``: what the code returns: Delta_k times the fan-in of channel k, since
            it gives the channel's value to each of its weights before it sums. That changes ranks.

    Returns:
        The sum, > 0; higher is better.

    Raises:
        ScoreUndefined: The loss does not depend on any layer's output.

    Source: Turner et al., BlockSwap, ICLR 2020, arXiv:1906.04113, as in Abdelfattah et al., ICLR 2021, code
    ``fisher.py``: on the outputs of the layers, before BN and ReLU.
    """
    trace = _FisherTrace(one_of("mode", mode, {"paper": _once, "reference": _fan_in}))
    weight_names(network)
    tensors = tensors_of(network, torch.float32)
    images = batch.images.contiguous(memory_format=torch.channels_last)
    with borrowed(network, generator), torch.enable_grad():
        with trace:
            logits = functional_call(network, tensors, (images,))
        torch.autograd.backward(F.cross_entropy(logits, batch.labels))
    total = sum(float(part) for part in trace.parts)
    if not total > 0:
        raise ScoreUndefined("the loss does not depend on any layer's output")
    return total


def _once(weight: Tensor) -> int:
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
