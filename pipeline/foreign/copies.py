"""Copies of a user's module, so that scores never change the module itself."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError


def private_copy(module: nn.Module) -> nn.Module:
    """Return a copy with the same weights, in float32, on the same device and without hooks.

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
    """Return a copy on the meta device, in train mode and without hooks: shapes without memory.

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
        copied: nn.Module = copy.deepcopy(module, replaced)
    except Exception as error:
        raise UserError(
            f"scores are taken on a copy of the module, but {type(module).__name__} cannot be copied "
            f"({type(error).__name__}: {error}). Remove what copy.deepcopy cannot copy, or pass a part of the module."
        ) from error
    for hooks, key in list(_hooks(copied)):
        del hooks[key]
    return copied


def count_hooks(module: nn.Module) -> int:
    """Return the number of hooks that copies of a module do not have."""
    return len(list(_hooks(module)))


def _hooks(module: nn.Module) -> Iterator[tuple[dict[int, Any], int]]:
    """Yield the hooks that run in a forward or backward pass: the dictionary that holds each, and its key there.

    They observe a network and are not part of it, and on a copy they would still reach the objects of the user. Hooks
    of `torch.nn.utils` are left out, because they compute the weights.
    """
    for part in module.modules():
        for hooks in (part._forward_pre_hooks, part._forward_hooks, part._backward_pre_hooks, part._backward_hooks):
            for key, hook in hooks.items():
                if not str(getattr(hook, "__module__", None)).startswith("torch.nn.utils."):
                    yield hooks, key
