"""Outputs of ReLUs and convolutions in one forward pass, recorded without forward hooks."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._state import tensors_of

RELUS = frozenset({F.relu, F.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_})


def out_of_place(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """Return the keyword arguments with ``inplace=False``, because the input may still be needed."""
    return {name: False if name == "inplace" else value for name, value in (kwargs or {}).items()}


class ActivationRecorder(TorchFunctionMode):
    """Torch function mode that passes the result of each call of the given functions to an observer.

    The observer must not keep a reference to the result, because later operations may modify it in place.
    """

    def __init__(self, functions: frozenset[Callable[..., Any]], observe: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._functions = functions
        self._observe = observe

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in self._functions:
            self._observe(result)
        return result


def watch_relus(network: nn.Module, images: Tensor, observe: Callable[[Tensor], None]) -> None:
    """Run one forward pass without gradients and pass the output of each ReLU to `observe`.

    The binary state of a unit is output > 0, which equals input > 0.

    Raises:
        ScoreUndefined: The network has no ReLU.
    """
    seen = 0

    def count(output: Tensor) -> None:
        nonlocal seen
        seen += 1
        observe(output)

    tensors = tensors_of(network, images.dtype)
    with torch.no_grad(), ActivationRecorder(RELUS, count):
        functional_call(network, tensors, (images.contiguous(memory_format=torch.channels_last),))
    if not seen:
        raise ScoreUndefined("the network has no ReLU")


def count_agreements(network: nn.Module, images: Tensor) -> tuple[Tensor, int]:
    """Count, for each pair of images, the ReLU units that are in the same state.

    With G = C C^T for the binary states C (N, A), K_ij = A - G_ii - G_jj + 2 G_ij, which takes one matrix product
    instead of two. Exact up to 2^24 units per layer.

    Returns:
        K (N, N) float64, where K_ij is the number of units in the same state on images i and j, and the number of
        units A.

    Raises:
        ScoreUndefined: The network has no ReLU.
    """
    products: list[Tensor] = []
    units: list[int] = []

    def take(output: Tensor) -> None:
        states = flatten_units(output).sign()
        products.append(states @ states.T)
        units.append(states.shape[1])

    watch_relus(network, images, take)
    both = torch.stack(products).double().sum(0)
    active = both.diag()
    return sum(units) - active[:, None] - active[None, :] + 2 * both, sum(units)


def flatten_units(output: Tensor) -> Tensor:
    """Reshape (N, ...) to (N, units) without copying, in either memory format."""
    channels_last = output.dim() == 4 and output.is_contiguous(memory_format=torch.channels_last)
    return (output.permute(0, 2, 3, 1) if channels_last else output).flatten(1)
