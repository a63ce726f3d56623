"""Contain what code of other authors does: global state is restored, and changes of the network are found."""

import os
import random  # noqa: TID251 - to seed and restore it
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules

SAMPLED = 2**20
"""Numbers of a network that are compared; of a larger network every second, third, ... one."""

PARAMETERS = "values of parameters"

_SETTINGS: Sequence[tuple[Callable[[], Any], Callable[[Any], object]]] = (
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, torch.set_default_device),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (lambda: torch.is_autocast_enabled("cpu"), lambda value: torch.set_autocast_enabled("cpu", value)),
    (lambda: torch.is_autocast_enabled("cuda"), lambda value: torch.set_autocast_enabled("cuda", value)),
    (np.geterr, lambda value: np.seterr(**value)),
    (os.getcwd, os.chdir),
)
"""Functions that return a setting of the process and that restore it."""

_GLOBAL_HOOKS = [
    value for name, value in vars(torch_modules).items() if name.startswith("_global_") and "hooks" in name
]

_HOOKS = [name for name in vars(nn.Module()) if name.endswith("_hooks")]
_PLAIN = frozenset({bool, int, float, str})
_within = threading.local()


def is_foreign(function: object) -> bool:
    """Return whether a function is not part of Zenfront, whose own proxies and spaces are tested to leave no traces."""
    return not str(getattr(function, "__module__", None)).startswith("zenfront.")


@contextmanager
def contained(seed: int, device: str = "cpu") -> Iterator[list[int]]:
    """Restore the global state of the process after a block, whose global generators are seeded.

    Restored are the generators of PyTorch, NumPy and `random`, the settings of PyTorch and NumPy that numbers depend
    on, the working directory, signal handlers and hooks on all modules. A process that the block forks ends with it.

    Args:
        seed: Seed of the global generators, in [0, 2**63).
        device: Device whose generator is global as well.

    Yields:
        The signals that have reached the process in the block so far, of those that raise an exception. It tells the
        exception of a Ctrl-C, or of the end of a worker, from an equal one that the code in the block raises.
    """
    process, settings = os.getpid(), [(write, read, read()) for read, write in _SETTINGS]
    hooks = [dict(each) for each in _GLOBAL_HOOKS]
    with _noted_signals() as signals, kept_generators(device):
        _seed(seed, device)
        try:
            yield signals
        finally:
            if os.getpid() != process:
                os._exit(1)  # this is a copy of the process, which must not go on with its work
            for write, read, before in settings:
                if read() != before:
                    write(before)
            for each, registered in zip(_GLOBAL_HOOKS, hooks, strict=True):
                if each != registered:
                    each.clear()
                    each.update(registered)


@contextmanager
def kept_generators(device: str) -> Iterator[None]:
    """Restore the global generators of PyTorch, NumPy and `random` after a block.

    Only the outermost of several blocks does: reading and writing these states takes longer than a cost.

    Args:
        device: Device whose generator is global as well.
    """
    if getattr(_within, "block", False):
        yield
        return
    python, numpy, _within.block = random.getstate(), np.random.get_state(), True  # noqa: NPY002
    try:
        with torch.random.fork_rng([device] if device.startswith("cuda") else []):
            yield
    finally:
        _within.block = False
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _seed(seed: int, device: str) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002, TID251
    torch.default_generator.manual_seed(seed)
    if device.startswith("cuda"):
        torch.cuda.manual_seed(seed)


@contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """Note SIGINT and SIGTERM before they are handled; outside the main thread, where none is handled, nothing."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        handlers[signal.Signals(number)](number, frame)  # type: ignore[operator, misc]

    for number, handler in handlers.items():
        if callable(handler):
            signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            if handler is not None:  # None: it was not installed by Python
                signal.signal(number, handler)


class Picture:
    """A picture of a network, to find what has changed since.

    Args:
        network: The network; on the meta device only its structure counts.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._before = self._now()

    def _now(self) -> dict[str, Any]:
        parts, tensors = _structure(self._network)
        return {
            PARAMETERS: _numbers([each for part in self._network.modules() for each in part._parameters.values()]),
            "values of buffers": _numbers(
                [each for part in self._network.modules() for each in part._buffers.values()]
            ),
            "parameters, buffers or gradients": tensors,
            "modules, their settings or their hooks": parts,
        }

    def change(self) -> str | None:
        """Return what has changed, in words; None if nothing has."""
        for name, now in self._now().items():
            before = self._before[name]
            if not (torch.equal(now, before) if isinstance(now, Tensor) else now == before):
                return name
        return None


def _structure(network: nn.Module) -> tuple[list[Any], list[Any]]:
    """Return a description of the modules with their settings and hooks, and one of the tensors without values."""
    parts, tensors = [], []
    for part in network.modules():
        values = vars(part)
        hooks = [len(values[name]) for name in _HOOKS]
        settings = {name: value for name, value in values.items() if type(value) in _PLAIN}
        parts.append((id(part), hooks, settings))
        tensors += [
            (id(tensor), tensor.dtype, tensor.shape, tensor.requires_grad, tensor.grad is None)
            for tensor in (*part._parameters.values(), *part._buffers.values())
            if tensor is not None
        ]
    return parts, tensors


def _numbers(tensors: Sequence[Tensor | None]) -> Tensor:
    """Return the bits of at most `SAMPLED` numbers of the tensors; of none on the meta device."""
    flat = [tensor.detach().flatten() for tensor in tensors if tensor is not None and not tensor.is_meta]
    if not flat:
        return torch.empty(0, dtype=torch.int32)
    every = sum(each.numel() for each in flat) // SAMPLED
    if every > 1:
        flat = [each[::every] for each in flat]
    return torch.cat(flat).float().view(torch.int32)
