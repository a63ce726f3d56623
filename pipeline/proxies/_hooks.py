"""Forward hooks that are gone afterwards."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn


@contextmanager
def outputs_of(modules: Sequence[nn.Module], observe: Callable[[nn.Module, Any], None]) -> Iterator[None]:
    """Shows the output of each call of these modules to an observer, in the order of the calls."""
    with ExitStack() as stack:
        for module in modules:
            handle = module.register_forward_hook(lambda module, inputs, output: observe(module, output))
            stack.callback(handle.remove)
        yield
