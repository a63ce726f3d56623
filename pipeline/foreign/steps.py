"""The steps of a module's forward pass, and which of them computes the features."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zenfront.pipeline.proxies._hooks import outputs_of

ADAPTIVE = frozenset({F.adaptive_avg_pool2d, F.adaptive_max_pool2d, torch.mean, Tensor.mean, torch.amax, Tensor.amax})
WINDOWED = frozenset({F.avg_pool2d, F.max_pool2d})
DROPOUTS = frozenset({F.dropout, F.dropout1d, F.dropout2d, F.alpha_dropout, F.feature_alpha_dropout, torch.dropout})
IN_PLACE_ARGUMENT: dict[Callable[..., Any], int] = {
    **dict.fromkeys((F.relu, F.relu6, F.silu, F.mish, F.hardswish, F.hardsigmoid), 1),
    **dict.fromkeys((F.leaky_relu, F.elu, F.celu), 2),
    **dict.fromkeys((F.dropout, F.hardtanh), 3),
}
"""Position of the argument that lets a function overwrite its input."""


@dataclass(frozen=True)
class Step:
    """A call of a torch function whose result depends on the images.

    Attributes:
        function: The function.
        before: Numbers of the steps that computed its arguments; -1 for the images.
        shape: Shape of its (first) result, with the batch.
        in_place: Whether it overwrites its first argument.
    """

    function: Callable[..., Any]
    before: tuple[int, ...]
    shape: torch.Size
    in_place: bool

    @property
    def is_pooling(self) -> bool:
        """Whether it pools feature maps to a fixed size."""
        return self.function in ADAPTIVE or (self.function in WINDOWED and self.shape[2:] == (1, 1))

    @property
    def belongs_to_head(self) -> bool:
        """Whether it is a pooling to a fixed size, or dropout, if it comes last."""
        return self.is_pooling or self.function in DROPOUTS


class Numbered(TorchFunctionMode):
    """Numbers the calls whose result depends on the images.

    Args:
        images: The images.

    Attributes:
        count: Number of such calls so far.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        images._step = -1  # type: ignore[attr-defined]
        self.count = 0

    def enter(self, func: Callable[..., Any]) -> None:
        """Take note of a call before it is made; the result may turn out to be no tensor."""

    def leave(self, number: int, step: Step, result: Tensor) -> None:
        """Take note of a step and its (first) result."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = tensors((*args, *(kwargs or {}).values()))
        if not (before := dict.fromkeys(t._step for t in given if hasattr(t, "_step"))):
            return func(*args, **(kwargs or {}))
        self.enter(func)
        result = func(*args, **(kwargs or {}))
        if outputs := list(tensors([result])):
            for output in outputs:
                output._step = self.count  # type: ignore[attr-defined]
            step = Step(func, tuple(before), outputs[0].shape, overwrites(func, args))
            self.count += 1
            self.leave(self.count - 1, step, outputs[0])
        return result


@dataclass(frozen=True)
class ForwardPass:
    """One forward pass of a module.

    Attributes:
        result: Return value of the module.
        steps: The steps in call order; the number of a step is its position.
        modules: Number of the step that computed the output of a module, by the module's name; of the last call.
    """

    result: object
    steps: Sequence[Step]
    modules: dict[str, int]

    @staticmethod
    def record(module: nn.Module, images: Tensor) -> "ForwardPass":
        """Run a module on images (N, C, H, W), without gradients, and record its steps."""
        recorded = _Recorded(images)
        modules: dict[str, int] = {}
        names = {part: name for name, part in module.named_modules()}

        def leave(part: nn.Module, output: Any) -> None:
            for tensor in tensors([output]):
                if hasattr(tensor, "_step"):
                    modules[names[part]] = tensor._step
                return

        with torch.no_grad(), outputs_of(list(names), leave), recorded:
            result = module(images)
        return ForwardPass(result, recorded.steps, modules)

    @property
    def joins(self) -> bool:
        """Whether a step joins several results; without such a step there are no shortcuts."""
        return any(len(step.before) > 1 for step in self.steps)

    @property
    def writes(self) -> bool:
        """Whether a step overwrites its argument."""
        return any(step.in_place for step in self.steps)

    def features(self) -> int | None:
        """Return the number of the step that computes the features: the input of the last pooling and linear head.

        That is the last result with positions, (N, C, H, W) or (N, T, D), before any pooling to a fixed size and
        dropout; without one, the input of the last linear layer. None if there is neither.
        """
        output = getattr(self.result, "_step", -1)
        line = self._ancestors(output)
        if maps := [number for number in line if len(self.steps[number].shape) > 2]:
            return self._before_pooling(max(maps))
        linear = [number for number in line if self.steps[number].function is F.linear]
        before = self.steps[max(linear)].before[0] if linear else -1
        return self._before_pooling(before) if before >= 0 else None

    def name_of(self, number: int) -> str | None:
        """Return the name of the outermost module whose output is the result of a step."""
        names = [name for name, last in self.modules.items() if last == number and name]
        return min(names, key=lambda name: name.count("."), default=None)

    def on_every_path(self, number: int) -> set[int]:
        """Return the steps that every path from the images to a step goes through, with the step itself."""
        return {n for n in self._ancestors(number) if n == number or -1 not in self._reached(number, {n})}

    def _before_pooling(self, number: int) -> int:
        if self.steps[number].shape[2:] == (1, 1):
            number = max((n for n in self.on_every_path(number) if self.steps[n].is_pooling), default=number)
        while self.steps[number].belongs_to_head and self.steps[number].before[0] >= 0:
            number = self.steps[number].before[0]
        return number

    def _ancestors(self, number: int) -> set[int]:
        """Return the step and all steps that it depends on, without the images."""
        return self._reached(number, set()) - {-1}

    def _reached(self, number: int, closed: set[int]) -> set[int]:
        found: set[int] = set()
        waiting = [number]
        while waiting:
            current = waiting.pop()
            if current not in found | closed:
                found.add(current)
                waiting.extend(self.steps[current].before if current >= 0 else ())
        return found


class _Recorded(Numbered):
    def __init__(self, images: Tensor) -> None:
        super().__init__(images)
        self.steps: list[Step] = []

    def leave(self, number: int, step: Step, result: Tensor) -> None:
        """Append the step."""
        self.steps.append(step)


def overwrites(func: Callable[..., Any], args: Sequence[Any]) -> bool:
    """Return whether a call overwrites its first argument, other than by the keyword ``inplace``."""
    name = getattr(func, "__name__", "")
    if position := IN_PLACE_ARGUMENT.get(func):
        return len(args) > position and args[position] is True
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))


def tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Return the tensors among values, also within lists and tuples."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors(value)
