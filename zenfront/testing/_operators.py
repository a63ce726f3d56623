"""Count on the CPU what a GPU would have to launch and to wait for."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
WITHOUT_KERNEL = frozenset(
    {aten._unsafe_view, aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided}
)
"""Operators that compute nothing, apart from those whose result is a view of their argument."""
WAITING = frozenset(
    {
        *(aten._local_scalar_dense, aten.is_nonzero, aten.equal, aten.nonzero, aten.masked_select),
        *(aten._unique2, aten.unique_dim, aten.unique_consecutive),
        *(aten._linalg_eigh, aten._linalg_svd, aten.linalg_eig, aten.linalg_cholesky_ex),
    }
)
"""Operators that wait for a GPU: their result, its shape or an error depends on the numbers."""
TO_HOST = frozenset({Tensor.cpu, Tensor.tolist, Tensor.numpy})


@dataclass
class Operators:
    """Calls of PyTorch's operators in a block.

    Attributes:
        launches: Number of calls that launch one kernel or several, by operator.
        waits: Number of calls that wait for the results of all calls before them, by operator.
        copies: Number of tensors that were copied to another device.
        bytes: Their size.
    """

    launches: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    copies: int = 0
    bytes: int = 0


@contextmanager
def counted_operators() -> Iterator[Operators]:
    """Count the operators that a block calls, forward and backward.

    Tensors that the block takes to the host by ``.cpu()`` stay there: what is computed from them alone is no kernel,
    and needs no waiting. All other tensors count as tensors on a GPU.
    """
    found = Operators()
    with _Functions(found), _Calls(found):
        yield found


class _Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, found: Operators) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._found = found

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors, results = list(_tensors(args)), list(_tensors([result]))
        if tensors and all(map(_on_host, tensors)):
            for each in results:
                each._on_host = True  # type: ignore[attr-defined]
        elif any(each.is_meta for each in results):
            self._note_copies(tensors)
        else:
            self._note(func, args)
        return result

    def _note(self, func: Any, args: tuple[Any, ...]) -> None:
        operator, name = func.overloadpacket, func.overloadpacket.__name__
        by_mask = operator is aten.index and any(each is not None and each.dtype == torch.bool for each in args[1])
        if operator in WAITING or by_mask:
            self._found.waits[name] += 1
        if operator is not aten._local_scalar_dense and operator not in WITHOUT_KERNEL and not _is_view(func):
            self._found.launches[name] += 1

    def _note_copies(self, tensors: list[Tensor]) -> None:
        moved = [each for each in tensors if not each.is_meta]
        self._found.copies += len(moved)
        self._found.bytes += sum(each.nbytes for each in moved)


class _Functions(TorchFunctionMode):
    def __init__(self, found: Operators) -> None:
        super().__init__()
        self._found = found

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in TO_HOST:
            return func(*args, **(kwargs or {}))
        if not _on_host(args[0]):
            self._found.waits[func.__name__] += 1
        if func is not Tensor.cpu:
            return func(*args, **(kwargs or {}))
        copy = args[0].detach().clone()
        copy._on_host = True
        return copy


def _on_host(tensor: Tensor) -> bool:
    return hasattr(tensor, "_on_host")


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _is_view(func: Any) -> bool:
    """Whether the result shares its memory with an argument that is not written to."""
    returned = [each.alias_info for each in func._schema.returns]
    return bool(returned) and all(alias is not None and not alias.is_write for alias in returned)
