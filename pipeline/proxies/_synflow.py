"""The synaptic flow through a network whose weights are positive and whose norms are switched off."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from pipeline.errors import ScoreUndefined
from pipeline.proxies._gradients import weight_names
from pipeline.proxies._proxy import Batch
from pipeline.proxies._state import tensors_of

NORMS = frozenset({F.batch_norm, F.group_norm, F.layer_norm, F.instance_norm})


class WithoutNorms(TorchFunctionMode):
    """Normalisation layers pass their input on."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if func in NORMS else func(*args, **(kwargs or {}))


def positive_tensors(network: nn.Module) -> dict[str, Tensor]:
    """The absolute values of its parameters and buffers, float64."""
    return {name: tensor.detach().abs() for name, tensor in tensors_of(network, torch.float64).items()}


def positive_output(network: nn.Module, batch: Batch, tensors: dict[str, Tensor]) -> Tensor:
    """R: the sum of the logits for one image of ones, of the shape of the batch's."""
    ones = torch.ones((1, *batch.images.shape[1:]), dtype=torch.float64, device=batch.images.device)
    total: Tensor = functional_call(network, tensors, (ones,)).sum()
    return total


def flow(network: nn.Module, batch: Batch) -> list[tuple[Tensor, Tensor]]:
    """|theta| and dR/d|theta| for every weight of convolutions and linear layers, in float64.

    Raises:
        ScoreUndefined: R does not depend on any weight, or overflows float64.
    """
    tensors = positive_tensors(network)
    weights = [tensors[name].requires_grad_() for name in weight_names(network)]
    with torch.enable_grad():
        total = positive_output(network, batch, tensors)
        if not total.requires_grad:
            raise ScoreUndefined("no path leads from the input through a weight to the output")
        gradients = torch.autograd.grad(total, weights, materialize_grads=True)
    if not all(gradient.isfinite().all() for gradient in gradients):
        raise ScoreUndefined("the synaptic flow overflows float64")
    return [(weight.detach(), gradient) for weight, gradient in zip(weights, gradients, strict=True)]
