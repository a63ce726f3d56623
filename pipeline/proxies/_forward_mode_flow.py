"""The synaptic flow in float32, in one pass without gradients: the flow's derivative goes forward beside the flow."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zenfront.pipeline.proxies._activations import RELUS
from zenfront.pipeline.proxies._outputs import PRODUCTS
from zenfront.pipeline.proxies._proxy import Batch
from zenfront.pipeline.proxies._synflow import NORMS

LOG2_IMAGE = -110
LOG2_LEAST = -118
PASSED_ON = NORMS | RELUS - {F.relu6}
SUMS = frozenset({torch.add, Tensor.add})
MULTIPLES = frozenset({torch.mul, Tensor.mul})
HOMOGENEOUS = SUMS | {
    *(F.adaptive_avg_pool2d, F.avg_pool2d, F.pad, F.interpolate, torch.cat, torch.flatten, torch.mean),
    *(Tensor.flatten, Tensor.mean, Tensor.reshape, Tensor.view, Tensor.expand, Tensor.__getitem__),
}


class NotHomogeneous(Exception):
    """The network does something else than multiply, add and pool."""


class ForwardModeFlow(TorchFunctionMode):
    """A network of positive parameters without norms, on a batch of two: the flow z and its derivative z'.

    The derivative is that of R(t |W|) with respect to t at t = 1: a layer W z + b has W (z + z'), all else that is
    homogeneous in z treats z' as it does z. What goes in is positive, so that ReLUs pass it on as norms do.

    Args:
        scale: Of the image, and so of the biases.

    Attributes:
        largest: The largest output of each convolution and linear layer.

    Raises:
        NotHomogeneous: Something is called that is not known to be homogeneous.
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
        if not _homogeneous(func, args, kwargs):
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
    """The derivative is that of the largest."""
    largest, where = F.max_pool2d(z[:1], *settings, **{**more, "return_indices": True})
    derivative = z[1:].flatten(2).gather(2, where.flatten(2)).view_as(largest)
    return torch.cat([largest, derivative])


def _homogeneous(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether the result scales with the images, and is positive where they are."""
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
    """Log of sum W dR/dW in float32, or None where that needs float64.

    The image is 2^-110 in place of 1 and the biases follow, which scales R alike: up to 1e70 stay in the range. It is
    left where something is not finite, or the largest output of a layer comes near to the smallest normal number.
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
    largest = torch.stack([*dual.largest, derivative])
    if not (largest.isfinite() & (largest > 2.0**LOG2_LEAST)).all():
        return None
    return math.log(float(derivative)) - LOG2_IMAGE * math.log(2)
