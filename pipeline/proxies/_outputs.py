"""Gradients with respect to the outputs of layers, without the gradients of the weights."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._activations import out_of_place
from zenfront.pipeline.proxies._multiply_adds import PRODUCTS

Take = Callable[[Tensor, Tensor, Tensor, Tensor | None], None]


class OutputGradients(TorchFunctionMode):
    """Torch function mode that passes the output of each convolution and linear layer to a callback during `backward`.

    `take` receives the output (N, O, ...), its gradient, the weight, and the bias reshaped to broadcast to the output.
    The weights are constants: their gradients, a third of the work of a forward and backward pass, are not computed.
    """

    def __init__(self, take: Take) -> None:
        super().__init__()
        self._take = take

    def backward(self, total: Tensor) -> None:
        """Run the backward pass from a scalar function of the network's output.

        Raises:
            ScoreUndefined: The scalar does not depend on the output of any layer.
        """
        if not total.requires_grad:
            raise ScoreUndefined("the output does not depend on any layer")
        torch.autograd.backward(total)

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **out_of_place(kwargs))
        if func in PRODUCTS:
            self.watch(result, *args[1:3])
        return result

    def watch(self, output: Tensor, weight: Tensor, bias: Tensor | None = None) -> None:
        """Register the output of a call, which may have been made by another function mode."""
        if not output.requires_grad:
            output.requires_grad_()
        value = output.detach()
        if bias is not None:
            bias = bias.detach().reshape(-1, *[1] * (weight.dim() - 2))
        take = self._take
        output.register_hook(lambda gradient: take(value, gradient, weight, bias))  # type: ignore[no-untyped-call]
