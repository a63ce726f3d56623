"""Copies of a user's module, so that scores never change the module itself."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError


def private_copy(module: nn.Module) -> nn.Module:
    """Return a copy with the same weights, in float32 and on the same device.

    Raises:
        UserError: The module cannot be copied, or has no weights yet.
    """
    tensors = (*module.parameters(), *module.buffers())
    if any(map(nn.parameter.is_lazy, tensors)):
        raise UserError("the module has lazy layers without parameters: call it once on an image, then score it.")
    if any(tensor.is_meta for tensor in tensors):
        raise UserError(
            "the module is on the meta device, without weights: give it some by module.to_empty(device=...)."
        )
    return _copied(module, lambda tensor: tensor.detach().clone()).float()


def meta_copy(module: nn.Module) -> nn.Module:
    """Return a copy on the meta device, in train mode: shapes without memory.

    Raises:
        UserError: The module cannot be copied.
    """
    return _copied(module, lambda tensor: torch.empty_like(tensor, device="meta")).train()


def _copied(module: nn.Module, made: Callable[[Tensor], Tensor]) -> nn.Module:
    """Copy a module; its tensors, plain attributes included, are made anew."""
    replaced: dict[int, object] = {}
    for part in module.modules():
        for tensor in (*part._parameters.values(), *part._buffers.values(), *vars(part).values()):
            if isinstance(tensor, nn.Parameter):
                replaced[id(tensor)] = nn.Parameter(made(tensor), tensor.requires_grad)
            elif isinstance(tensor, Tensor):
                replaced[id(tensor)] = made(tensor)
    try:
        return copy.deepcopy(module, replaced)
    except Exception as error:
        raise UserError(
            f"scores are taken on a copy of the module, but {type(module).__name__} cannot be copied "
            f"({type(error).__name__}: {error}). Remove what copy.deepcopy cannot copy, or pass a part of the module."
        ) from error
