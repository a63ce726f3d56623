"""Graph of the function calls of a network, traced on shapes alone: no memory is allocated and nothing is computed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zenfront.pipeline.proxies._multiply_adds import CONVOLUTIONS, MATRIX_PRODUCTS, PRODUCTS, count
from zenfront.spaces import Block, run_block

# Functions with parameters that count no multiply-adds, by the convention of the field (pycls, NATS-Bench): norms,
# look-ups, element-wise arithmetic and rearrangements.
FREE = frozenset(
    {
        *(F.batch_norm, F.layer_norm, F.group_norm, F.instance_norm, F.rms_norm, F.prelu, F.embedding),
        *(torch.add, torch.sub, torch.mul, torch.div, torch.cat, torch.stack, torch.flatten),
        *(Tensor.add, Tensor.sub, Tensor.mul, Tensor.div, Tensor.add_, Tensor.mul_, Tensor.__getitem__, Tensor.to),
        *(Tensor.expand, Tensor.expand_as, Tensor.repeat, Tensor.reshape, Tensor.view, Tensor.flatten),
        *(Tensor.permute, Tensor.transpose, Tensor.squeeze, Tensor.unsqueeze),
    }
)
SAME_SHAPE = frozenset({F.batch_norm, F.relu, F.relu6, F.silu, F.hardswish, F.hardtanh, F.dropout})
ADDITIONS = frozenset({torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__})
# Functions whose result does not depend on the values of their arguments.
CONSTANTS = frozenset({torch.zeros_like, torch.ones_like, Tensor.new_zeros, Tensor.new_ones})
BLOCKS = 2**14  # different ones whose calls are remembered, with about 10 kB each


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a torch function.

    Attributes:
        function: The function, for example `torch.conv2d` or `torch.nn.functional.batch_norm`.
        inputs: The calls that computed the tensor arguments.
        parameters: The arguments that are parameters.
        shape: Shape of the (first) result.
        multiply_adds: Number of multiply-adds, without the bias; 0 unless the function is a product.
    """

    function: Callable[..., Any]
    inputs: tuple["Call", ...]
    parameters: tuple[nn.Parameter, ...]
    shape: torch.Size
    multiply_adds: int = 0

    @property
    def is_convolution(self) -> bool:
        """Whether the call is a convolution of any dimension."""
        return self.function in CONVOLUTIONS

    @property
    def is_product(self) -> bool:
        """Whether the call is a convolution or a linear layer."""
        return self.function in PRODUCTS


@dataclass(frozen=True)
class Trace:
    """Function calls of one forward pass, in call order.

    Attributes:
        calls: All calls, without the input.
        source: The input image, represented as a call.
        output: The call that computed the logits.
    """

    calls: list[Call]
    source: Call
    output: Call

    def longest(self, length: Callable[[Call], int]) -> int:
        """Return the largest sum of `length` over the calls of a path from input to output, or 0 without a path."""
        reached = {self.source: 0}
        for call in self.calls:
            before = [reached[i] for i in call.inputs if i in reached]
            if before:
                reached[call] = max(before) + length(call)
        return reached.get(self.output, 0)

    def live(self) -> Iterator[Call]:
        """Return the calls that lie on a path from the input to the output."""
        reached, wanted = {self.source}, {self.output}
        for call in self.calls:
            if any(i in reached for i in call.inputs):
                reached.add(call)
        for call in reversed(self.calls):
            if call in wanted:
                wanted.update(call.inputs)
        return (call for call in self.calls if call in reached and call in wanted)

    def peak_elements(self) -> int:
        """Compute the largest number of elements that are alive at once.

        A result is alive from its call to its last use, and no operation works in place.
        """
        last_use = {call: step for step, user in enumerate(self.calls) for call in (*user.inputs, user)}
        last_use[self.output] = len(self.calls)
        alive = peak = self.source.shape.numel()
        for step, call in enumerate(self.calls):
            alive += call.shape.numel()
            peak = max(peak, alive)
            alive -= sum(used.shape.numel() for used in {*call.inputs, call} if last_use[used] == step)
        return peak


@dataclass
class _Tracer(TorchFunctionMode):
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is run_block:
            return self._run_block(*args)
        kwargs = kwargs or {}
        result = _shape_of(func, args, kwargs)
        tensors = list(_tensors((*args, *kwargs.values())))
        if not (outputs := list(_tensors((result,)))):
            return result
        parameters = tuple(t for t in tensors if isinstance(t, nn.Parameter))
        if parameters and func not in PRODUCTS and func not in MATRIX_PRODUCTS and func not in FREE:
            name = getattr(func, "__name__", func)
            raise NotImplementedError(f"the cost of a layer that passes parameters to {name!r} is not known")
        inputs = () if _is_constant(func, args) else tuple(t._call for t in tensors if hasattr(t, "_call"))
        if not inputs and not parameters:  # independent of the image, such as a counter of batches
            return result
        call = self._record(func, inputs, parameters, args, kwargs, outputs[0])
        for output in outputs:
            output._call = call  # type: ignore[attr-defined]
        return result

    def _run_block(self, block: Block, *inputs: Tensor) -> Tensor:
        """Append the calls of an outlined block, without its parameters; return its output."""
        if not all(hasattr(x, "_call") for x in inputs):
            with self:
                output: Tensor = block.on_meta()(*inputs)
            return output
        calls: list[Call] = [x._call for x in inputs]  # type: ignore[attr-defined]
        steps, shape, last = _steps(block, *(call.shape for call in calls))
        for step in steps:
            calls.append(Call(step.function, tuple(calls[i] for i in step.inputs), (), step.shape, step.multiply_adds))
        self.calls += calls[len(inputs) :]
        output = torch.empty(shape, device="meta")
        if last is not None:
            output._call = calls[last]  # type: ignore[attr-defined]
        return output

    def _record(
        self,
        func: Callable[..., Any],
        inputs: tuple[Call, ...],
        parameters: tuple[nn.Parameter, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        output: Tensor,
    ) -> Call:
        """Append the call, or the products that it consists of; return the last one."""
        for part in count(func, args, kwargs, output):
            used = tuple(p for p in parameters if part.parameters is None or any(p is q for q in part.parameters))
            inputs = (Call(part.function, inputs, used, part.shape, part.multiply_adds),)
            self.calls.append(inputs[0])
        return inputs[0]


def trace(network: nn.Module, shape: Iterable[int]) -> Trace:
    """Trace the function calls of a network for one image.

    Args:
        network: Network on the meta device.
        shape: Shape (C, H, W) of an image.

    Raises:
        NotImplementedError: A parameter is passed to a function whose cost is not known.
    """
    calls, sources, logits = _follow(network, torch.Size((1, *shape)))
    return Trace(calls, sources[0], getattr(logits, "_call", Call(torch.empty, (), (), logits.shape)))


def _follow(module: nn.Module, *shapes: torch.Size) -> tuple[list[Call], list[Call], Tensor]:
    """Return the calls of a module on inputs of these shapes, the inputs represented as calls, and the output."""
    sources = [Call(torch.empty, (), (), shape) for shape in shapes]
    inputs = [torch.empty(shape, device="meta") for shape in shapes]
    for x, source in zip(inputs, sources, strict=True):
        x._call = source  # type: ignore[attr-defined]
    tracer = _Tracer()
    with torch.no_grad(), tracer:
        output = module(*inputs)
    return tracer.calls, sources, output


@dataclass(frozen=True)
class _Step:
    """A call of a block, whose inputs are positions among the inputs of the block and the steps before."""

    function: Callable[..., Any]
    inputs: tuple[int, ...]
    shape: torch.Size
    multiply_adds: int


@lru_cache(maxsize=BLOCKS)
def _steps(block: Block, *shapes: torch.Size) -> tuple[list[_Step], torch.Size, int | None]:
    """Return the calls of a block, the shape of its output, and which call computed it; None: a constant."""
    calls, sources, output = _follow(block.on_meta(), *shapes)
    places = {call: place for place, call in enumerate((*sources, *calls))}
    steps = [
        _Step(call.function, tuple(places[i] for i in call.inputs), call.shape, call.multiply_adds) for call in calls
    ]
    return steps, output.shape, places.get(getattr(output, "_call", None))  # type: ignore[arg-type]


def _is_constant(func: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    times_zero = func in (Tensor.mul, torch.mul, Tensor.__mul__) and any(_is_zero(a) for a in args)
    return func in CONSTANTS or times_zero


def _is_zero(value: object) -> bool:
    return isinstance(value, int | float) and value == 0


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _shape_of(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute the result on the meta device, directly for the common layers because their meta kernels are slow."""
    if func in SAME_SHAPE and not kwargs.get("inplace"):
        return torch.empty(args[0].shape, device="meta")
    if func in ADDITIONS and not kwargs and all(_has_shape(other, args[0].shape) for other in args):
        return torch.empty(args[0].shape, device="meta")
    if func is torch.conv2d and len(args) == 7 and not isinstance(args[4], str):
        x, weight, _, stride, padding, dilation, _ = args
        sides = [
            (side + 2 * p - d * (k - 1) - 1) // s + 1
            for side, k, s, p, d in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
        ]
        return torch.empty((x.shape[0], weight.shape[0], *sides), device="meta")
    return func(*args, **kwargs)


def _has_shape(value: object, shape: torch.Size) -> bool:
    return value.shape == shape if isinstance(value, Tensor) else isinstance(value, int | float)
