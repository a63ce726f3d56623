"""Evaluation of many networks on one pass over the images: what several of them compute alike is computed once."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

INPUT = 0
_NODE = "_zenfront_node"


@dataclass(frozen=True)
class _Result:
    """Place of the result of a call, or of the images, in the arguments of a call."""

    number: int


@dataclass(frozen=True)
class _Call:
    function: Callable[..., Any]
    args: Any
    kwargs: Any
    sources: tuple[int, ...]


class JointEvaluation:
    """The calls of PyTorch's functions of several networks, in which equal calls with equal arguments occur once.

    The networks are recorded while they process a few images; weights and statistics are not copied, so that a
    recording stays valid while they are trained. In evaluation mode every call is a function of its arguments.

    Args:
        networks: Networks in evaluation mode, which share layers; neighbours should have much in common, which bounds
            the memory.
        images: A few images (n, C, H, W), on which they are recorded.
    """

    def __init__(self, networks: Sequence[nn.Module], images: Tensor) -> None:
        recorder = _Recorder()
        self._outputs: list[int] = []
        with torch.inference_mode():
            for network in networks:
                self._outputs.append(recorder.record(network, images))
        self._calls = recorder.calls
        self._uses = Counter(source for call in self._calls.values() for source in call.sources)
        self._uses.update(self._outputs)

    @property
    def calls(self) -> int:
        """Number of calls for one batch of images."""
        return len(self._calls)

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the logits (N, K) of each network, in their order."""
        results, left = {INPUT: images}, Counter(self._uses)
        waiting = iter(self._outputs)
        wanted = next(waiting, None)
        for number, call in self._calls.items():
            results[number] = call.function(*_fill(call.args, results), **_fill(call.kwargs, results))
            for source in call.sources:
                _release(source, results, left)
            while wanted is not None and wanted in results:
                yield results[wanted]
                _release(wanted, results, left)
                wanted = next(waiting, None)


def _release(number: int, results: dict[int, Tensor], left: Counter[int]) -> None:
    left[number] -= 1
    if not left[number]:
        del results[number]


class _Recorder(TorchFunctionMode):
    """Record calls. A result carries its number, so that no result is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[int, _Call] = {}
        self._known: dict[Any, int] = {}

    def record(self, network: nn.Module, images: Tensor) -> int:
        """Record a network and return the number of its result."""
        images = images.clone()
        setattr(images, _NODE, INPUT)
        with self:
            result = network(images)
        return int(getattr(result, _NODE))

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if isinstance(result, Tensor):
            sources: list[int] = []
            template = _template(args, sources), _template(kwargs, sources)
            key = func, *(_hashable(part) for part in template)
            number = self._known.setdefault(key, len(self._known) + 1)
            self.calls.setdefault(number, _Call(func, *template, tuple(sources)))
            setattr(result, _NODE, number)
        return result


def _template(value: Any, sources: list[int]) -> Any:
    """Return arguments in which results of calls are replaced by their numbers, which are added to the sources."""
    match value:
        case Tensor() if (number := getattr(value, _NODE, None)) is not None:
            sources.append(number)
            return _Result(number)
        case tuple() | list():
            return type(value)(_template(item, sources) for item in value)
        case dict():
            return {name: _template(item, sources) for name, item in value.items()}
    return value


def _hashable(value: Any) -> Any:
    """Return a form of arguments by which equal ones are found; weights are equal if they are the same object."""
    match value:
        case Tensor():
            return "tensor", id(value)
        case tuple() | list():
            return tuple(_hashable(item) for item in value)
        case dict():
            return tuple((name, _hashable(item)) for name, item in value.items())
        case slice():
            return "slice", value.start, value.stop, value.step
        case bool() | int() | float():
            return type(value).__name__, value
    return value


def _fill(value: Any, results: dict[int, Tensor]) -> Any:
    match value:
        case _Result(number):
            return results[number]
        case tuple() | list():
            return type(value)(_fill(item, results) for item in value)
        case dict():
            return {name: _fill(item, results) for name, item in value.items()}
    return value
