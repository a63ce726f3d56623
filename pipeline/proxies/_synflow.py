"""Synaptic flow through a network with positive parameters and without norms."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._activations import out_of_place
from zenfront.pipeline.proxies._multiply_adds import PRODUCTS
from zenfront.pipeline.proxies._proxy import Batch

NORMS = frozenset({F.batch_norm, F.group_norm, F.layer_norm, F.instance_norm})


class Positive(TorchFunctionMode):
    """Torch function mode that replaces every parameter by its absolute value in float64.

    Args:
        norms: Whether norms are applied; otherwise they return their input.
        observe: Callback that receives the output, the weight and the bias of every convolution and linear layer.
    """

    def __init__(
        self, *, norms: bool = False, observe: Callable[[Tensor, Tensor, Tensor | None], None] | None = None
    ) -> None:
        super().__init__()
        self._norms = norms
        self._observe = observe
        self._positive: dict[int, Tensor] = {}
        self._weights: dict[int, Tensor] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in NORMS and not self._norms:
            return args[0]
        args = tuple(self._absolute(a) if isinstance(a, nn.Parameter) else a for a in args)
        kwargs = {k: self._absolute(a) if isinstance(a, nn.Parameter) else a for k, a in out_of_place(kwargs).items()}
        if func not in PRODUCTS:
            return func(*args, **kwargs)
        if self._observe is None:
            self._weights[id(args[1])] = args[1].requires_grad_()
        output = func(*args, **kwargs)
        if self._observe is not None:
            self._observe(output, *args[1:3])
        return output

    def flow(self, network: nn.Module, batch: Batch) -> Tensor:
        """Compute R, the sum of the logits for one image of ones with the image shape of the batch."""
        ones = torch.ones((1, *batch.images.shape[1:]), dtype=torch.float64, device=batch.images.device)
        with self:
            logits: Tensor = network(ones)
        return logits.sum()

    def gradients(self, flow: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Compute |theta| and dR/d|theta| for every weight of convolutions and linear layers.

        If R overflows float64, gradients are not finite.

        Raises:
            ScoreUndefined: R does not depend on any weight.
        """
        if not flow.requires_grad:
            raise ScoreUndefined("no path leads from the input through a weight to the output")
        weights = list(self._weights.values())
        gradients = torch.autograd.grad(flow, weights, materialize_grads=True)
        return [(weight.detach(), gradient) for weight, gradient in zip(weights, gradients, strict=True)]

    def _absolute(self, parameter: nn.Parameter) -> Tensor:
        if id(parameter) not in self._positive:
            self._positive[id(parameter)] = parameter.detach().double().abs()
        return self._positive[id(parameter)]
