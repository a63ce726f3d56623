"""Forward hooks that are removed on exit."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn


@contextmanager
def outputs_of(modules: Sequence[nn.Module], observe: Callable[[nn.Module, Any], None]) -> Iterator[None]:
    """Pass the output of each call of the given modules to an observer, in call order."""
    with ExitStack() as stack:
        for module in modules:
            handle = module.register_forward_hook(lambda module, inputs, output: observe(module, output))
            stack.callback(handle.remove)
        yield
