"""PyTorch's convolution and batch norm with fast construction, which otherwise dominates building a network."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

Size = int | tuple[int, int]
Tensors = dict[str, Tensor | None]


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d` that is constructed 3× faster on the meta device."""

    def __init__(
        self,
        w_in: int,
        w_out: int,
        k: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        settings = (w_in, w_out, k, stride, padding, dilation, groups, bias)
        if _on_meta():
            _construct(self, nn.Conv2d, settings)
        else:
            super().__init__(*settings)


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` that is constructed more than 2× faster on the meta device."""

    def __init__(self, w: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> None:
        settings = (w, eps, momentum, affine)
        if _on_meta():
            _construct(self, nn.BatchNorm2d, settings)
        else:
            super().__init__(*settings)

    def reset_parameters(self) -> None:
        """Reset parameters and buffers like PyTorch, but 2× faster."""
        with torch.no_grad():
            for name, tensor in (*self._parameters.items(), *self._buffers.items()):
                if tensor is not None:
                    tensor.fill_(name in ("weight", "running_var"))


def _construct(layer: nn.Module, kind: Callable[..., nn.Module], settings: tuple[Any, ...]) -> None:
    """Do what `kind.__init__` does on the meta device, without the time to check and set each attribute."""
    nn.Module.__init__(layer)
    attributes, parameters, buffers = _make_template(kind, settings, torch.get_default_dtype())
    layer.__dict__.update(attributes)
    for name, like in parameters.items():
        layer._parameters[name] = None if like is None else nn.Parameter(like.clone())
    for name, like in buffers.items():
        layer._buffers[name] = None if like is None else like.clone()


@lru_cache(maxsize=1024)
def _make_template(
    kind: Callable[..., nn.Module], settings: tuple[Any, ...], dtype: torch.dtype
) -> tuple[dict[str, Any], Tensors, Tensors]:
    """Return attributes, parameters and buffers of a layer that PyTorch constructed on the meta device."""
    layer = kind(*settings, device="meta", dtype=dtype)
    every_module_has = vars(nn.Module())
    attributes = {name: value for name, value in vars(layer).items() if name not in every_module_has}
    parameters = {name: p if p is None else p.data for name, p in layer._parameters.items()}
    return attributes, parameters, {**layer._buffers}


def _on_meta() -> bool:
    """Check whether new tensors are on the meta device, 3× faster than `torch.get_default_device`."""
    return torch.empty(0).is_meta
