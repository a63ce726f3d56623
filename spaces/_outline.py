"""Outlines of networks: equal blocks are built once for all networks, for costs that add up over the blocks."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

COUNTED = 2**15
"""Number of different blocks whose parameters are remembered."""
BUILT = 32
"""Number of blocks that are kept, as one count follows the other."""

_outlining: ContextVar[bool] = ContextVar("outlining", default=False)


@dataclass(frozen=True)
class Block:
    """A function that builds a block, with its arguments: equal ones build equal blocks."""

    function: Callable[..., nn.Module]
    arguments: tuple[Hashable, ...]

    def on_meta(self) -> nn.Module:
        """Return the block on the meta device, which all callers share."""
        return _build(self)


class OutlinedBlock(nn.Module):
    """Stand-in for a block, with one parameter of as many elements as all parameters of the block have."""

    block: Block

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.__dict__["block"] = block  # without the checks of `nn.Module.__setattr__`, which take half of the time
        self._parameters["parameter"] = nn.Parameter(torch.empty(_count_parameters(block), device="meta"))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute what the block computes."""
        return run_block(self.block, *inputs)


def run_block(block: Block, *inputs: Tensor) -> Tensor:
    """Build a block on the meta device, and apply it. A `TorchFunctionMode` can know the result of an equal block."""
    if has_torch_function(inputs):
        result: Tensor = handle_torch_function(run_block, inputs, block, *inputs)
        return result
    output: Tensor = block.on_meta()(*inputs)
    return output


def outlined(function: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Decorate a function that builds a block: under `outlines` it returns an `OutlinedBlock`.

    Args:
        function: Function of hashable positional arguments, on which alone the block depends.
    """

    @wraps(function)
    def build(*arguments: Any) -> nn.Module:
        return OutlinedBlock(Block(function, arguments)) if _outlining.get() else function(*arguments)

    return build


@contextmanager
def _outlines(on: bool) -> Iterator[None]:
    token = _outlining.set(on)
    try:
        yield
    finally:
        _outlining.reset(token)


def outlines() -> AbstractContextManager[None]:
    """Return a context in which the blocks of networks are outlined."""
    return _outlines(True)


@lru_cache(maxsize=BUILT)
def _build(block: Block) -> nn.Module:
    with _outlines(False), torch.device("meta"):
        return block.function(*block.arguments)


@lru_cache(maxsize=COUNTED)
def _count_parameters(block: Block) -> int:
    return sum(parameter.numel() for parameter in block.on_meta().parameters())
