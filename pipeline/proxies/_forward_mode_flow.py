"""Synaptic flow in float32 by forward-mode differentiation, in a single pass without gradients."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zenfront.pipeline.proxies._activations import RELUS
from zenfront.pipeline.proxies._host import numbers
from zenfront.pipeline.proxies._multiply_adds import PRODUCTS
from zenfront.pipeline.proxies._proxy import Batch
from zenfront.pipeline.proxies._synflow import NORMS

LOG2_IMAGE = -110  # log2 of the image that replaces the image of ones
LOG2_LEAST = -118  # log2 of the smallest accepted maximum of a layer's output
PASSED_ON = NORMS | RELUS - {F.relu6}
SUMS = frozenset({torch.add, Tensor.add})
MULTIPLES = frozenset({torch.mul, Tensor.mul})
HOMOGENEOUS = SUMS | {
    *(F.adaptive_avg_pool2d, F.avg_pool2d, F.pad, F.interpolate, torch.cat, torch.flatten, torch.mean),
    *(Tensor.flatten, Tensor.mean, Tensor.reshape, Tensor.view, Tensor.expand, Tensor.__getitem__),
}


class NotHomogeneous(Exception):
    """Raised if the network does anything other than multiply, add and pool."""


class ForwardModeFlow(TorchFunctionMode):
    """Torch function mode that computes the flow z and its derivative z' in one forward pass, as a batch of two.

    Parameters are replaced by their absolute values and norms by the identity. z' is the derivative of the flow under
    parameters t |W| with respect to t at t = 1. For a layer W z + b it is W (z + z'); any other operation that is
    homogeneous in z acts on z' as it does on z. The input is positive, so ReLUs are replaced by the identity as well.

    Args:
        scale: Value of the input image, by which the biases are multiplied.

    Attributes:
        largest: The largest output of each convolution and linear layer.

    Raises:
        NotHomogeneous: The network calls a function that is not known to be homogeneous.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self._scale = scale
        self.largest: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in PASSED_ON:
            return args[0]
        if func in PRODUCTS and len(args) > 2:
            return self._product(func, *args, **kwargs)
        if func is F.max_pool2d:
            return _max_pool(*args, **kwargs)
        if func is Tensor.dim:
            return func(*args)
        if not _is_homogeneous(func, args, kwargs):
            raise NotHomogeneous(func)
        result = func(*args, **kwargs)
        if len(result) != 2:
            raise NotHomogeneous(f"{func} mixes the images")
        return result

    def _product(
        self, func: Callable[..., Tensor], z: Tensor, weight: Tensor, bias: Tensor | None, *settings: Any, **more: Any
    ) -> Tensor:
        z = z.clone()
        z[1].add_(z[0])
        output = func(z, weight.detach().float().abs(), None, *settings, **more)
        if bias is not None:
            output[0] += self._scale * bias.detach().float().abs().reshape(-1, *[1] * (weight.dim() - 2))
        self.largest.append(output.amax())
        return output


def _max_pool(z: Tensor, *settings: Any, **more: Any) -> Tensor:
    """Pool z by its maximum, and z' by the position of that maximum."""
    largest, where = F.max_pool2d(z[:1], *settings, **{**more, "return_indices": True})
    derivative = z[1:].flatten(2).gather(2, where.flatten(2)).view_as(largest)
    return torch.cat([largest, derivative])


def _is_homogeneous(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Check whether the result scales with the images and is positive for positive images."""
    if any(isinstance(a, nn.Parameter) for arg in args for a in (arg if isinstance(arg, list | tuple) else [arg])):
        return False
    if func in MULTIPLES:
        return isinstance(args[1], int | float) and args[1] >= 0
    if func in SUMS:
        return isinstance(args[1], Tensor) and args[0].shape == args[1].shape and not kwargs
    if func is F.pad:
        return not any(args[3:]) and not kwargs.get("value")
    return func in HOMOGENEOUS and kwargs.get("mode") != "bicubic"


def log_synflow(network: nn.Module, batch: Batch) -> float | None:
    """Compute the logarithm of sum W dR/dW in float32, or return None if float64 is required.

    The image is 2^-110 instead of 1 and the biases are multiplied by the same factor, which scales R equally, so that
    flows up to 1e70 are in range. The result is None if the network is not homogeneous, if a value is not finite, or if
    the largest output of a layer comes close to the smallest normal number.
    """
    images = torch.zeros((2, *batch.images.shape[1:]), device=batch.images.device)
    images[0] = 2.0**LOG2_IMAGE
    images = images.contiguous(memory_format=torch.channels_last)
    dual = ForwardModeFlow(2.0**LOG2_IMAGE)
    try:
        with torch.no_grad(), dual:
            logits: Tensor = network(images)
    except NotHomogeneous:
        return None
    derivative = logits[1].sum()
    largest = numbers([*dual.largest, derivative])
    if not all(math.isfinite(each) and each > 2.0**LOG2_LEAST for each in largest):
        return None
    return math.log(largest[-1]) - LOG2_IMAGE * math.log(2)
