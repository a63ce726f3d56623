"""What the ReLUs and layers of a network put out in one forward pass, seen without hooks."""

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
CONVOLUTIONS = frozenset({torch.conv1d, torch.conv2d, torch.conv3d})


def out_of_place(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """The keyword arguments of an activation that leaves its input alone: the input may be needed as it was."""
    return {name: False if name == "inplace" else value for name, value in (kwargs or {}).items()}


class ActivationRecorder(TorchFunctionMode):
    """Shows the result of each call of certain functions to an observer, which must not keep what is changed later."""

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
    """One forward pass without gradients; `observe` gets the output of each ReLU.

    A pattern's bit is output > 0, which equals input > 0.

    Raises:
        ScoreUndefined: There is no ReLU.
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
        raise ScoreUndefined("there is no ReLU")


def agreement(network: nn.Module, images: Tensor) -> tuple[Tensor, int]:
    """K_ij = number of ReLU units in the same state on images i and j, (N, N) float64; and the number of units A.

    With G = C C^T for the binary states C (N, A), K_ij = A - G_ii - G_jj + 2 G_ij: one product in place of two.
    Exact up to 2^24 units a layer.

    Raises:
        ScoreUndefined: There is no ReLU.
    """
    products: list[Tensor] = []
    units: list[int] = []

    def take(output: Tensor) -> None:
        states = flat(output).sign()
        products.append(states @ states.T)
        units.append(states.shape[1])

    watch_relus(network, images, take)
    both = torch.stack(products).double().sum(0)
    active = both.diag()
    return sum(units) - active[:, None] - active[None, :] + 2 * both, sum(units)


def flat(output: Tensor) -> Tensor:
    """(N, ...) to (N, units) without copying, whatever the memory format."""
    channels_last = output.dim() == 4 and output.is_contiguous(memory_format=torch.channels_last)
    return (output.permute(0, 2, 3, 1) if channels_last else output).flatten(1)
