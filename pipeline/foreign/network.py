"""A user's module as the network that proxies score."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.foreign.steps import Numbered, Step, overwrites
from zenfront.pipeline.proxies._activations import RELUS
from zenfront.pipeline.proxies._synflow import NORMS
from zenfront.spaces import Network

LOOKS = frozenset({"__get__", "__len__", "dim", "size", "numel", "stride", "is_contiguous", "is_floating_point"})
"""Functions that look at a tensor without computing anything, by name."""


@dataclass(frozen=True)
class Layout:
    """The known structure of a module's forward pass.

    Attributes:
        features: Number of the step that computes the features.
        blocks: Names of the modules that are the blocks of the features.
        writes: Whether a step overwrites its argument.
        shortcuts: Whether results are joined outside the shortcuts that a score can leave out.
    """

    features: int
    blocks: Sequence[str]
    writes: bool
    shortcuts: bool


class ForeignNetwork(Network):
    """A user's module as a `Network`; its features are the result of a step of its forward pass."""

    allows_in_place = False  # nobody knows what else reads the input of a ReLU

    def __init__(self, module: nn.Module, layout: Layout) -> None:
        super().__init__(_Features(module, layout), nn.Identity())
        self._names = layout.blocks

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits (N, K) of images (N, C, H, W)."""
        logits: Tensor = self.features.run(x)  # type: ignore[operator]
        return logits

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The blocks of the features, in call order."""
        return [self.features.get_submodule(f"module.{name}") for name in self._names]


class _Features(nn.Module):
    """The module up to its features."""

    def __init__(self, module: nn.Module, layout: Layout) -> None:
        super().__init__()
        self.module = module
        self._number, self._writes = layout.features, layout.writes

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features of images (N, C, H, W)."""
        x = _contiguous(x)
        until = _Until(x, self._number)
        with suppress(_Reached), until:
            self.run(x)
        if until.result is None:
            raise ScoreUndefined("the forward pass has not come to the features: it depends on the images")
        return until.result

    def run(self, x: Tensor) -> Tensor:
        """Compute the logits (N, K) of images (N, C, H, W)."""
        with ExitStack() as stack:
            if x.device.type == "meta":
                stack.enter_context(torch.device("meta"))
            if self._writes:
                stack.enter_context(_KeptOutputs())
            logits: Tensor = self.module(_contiguous(x))
        return logits


class _Reached(BaseException):
    """Ends a forward pass after the features; no Exception, so that the user's module does not catch it."""


class _Until(Numbered):
    """Keeps the result of a step, and ends the forward pass before the next call that computes something."""

    def __init__(self, images: Tensor, number: int) -> None:
        super().__init__(images)
        self.result: Tensor | None = None
        self._number = number

    def enter(self, func: Callable[..., Any]) -> None:
        """End the forward pass; modules that are done by then have called their hooks."""
        if self.result is not None and getattr(func, "__name__", "") not in LOOKS:
            raise _Reached

    def leave(self, number: int, step: Step, result: Tensor) -> None:
        """Keep the result."""
        if number == self._number:
            self.result = result


class _KeptOutputs(TorchFunctionMode):
    """Lets in-place functions write to memory of their own: proxies hold the outputs of layers until they need them.

    A norm or ReLU that a proxy skips returns its input itself, and then gets a copy.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        writes = overwrites(func, args)
        if writes and isinstance(args[0], Tensor):
            with torch._C.DisableTorchFunction():
                args[0].data = args[0].data.clone()
        result = func(*args, **kwargs)
        skipped = func in NORMS | RELUS and not writes and not kwargs.get("inplace")
        if skipped and args and result is args[0]:
            with torch._C.DisableTorchFunction():
                return args[0].clone()
        return result


def _contiguous(x: Tensor) -> Tensor:
    """Return the images with the channels of an image apart in memory: a user's `view` expects that."""
    with torch._C.DisableTorchFunction():
        return x.contiguous()
