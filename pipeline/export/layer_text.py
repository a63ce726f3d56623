"""Layers and functions of PyTorch as the text that makes or calls them."""

import inspect
import json
import operator
from ast import literal_eval
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from zenfront.pipeline.errors import UserError

_FUNCTIONS: Mapping[type[nn.Module], str] = {
    nn.ReLU: "F.relu",
    nn.Sigmoid: "torch.sigmoid",
    nn.MaxPool2d: "F.max_pool2d",
    nn.AvgPool2d: "F.avg_pool2d",
    nn.AdaptiveAvgPool2d: "F.adaptive_avg_pool2d",
}
"""Functions that layers without weights are written as; their arguments have the same names."""
INFIX: Mapping[Any, str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    operator.matmul: "@",
}


"""Operators of functions of two values."""
_NAMESPACES: Mapping[str, ModuleType] = {
    "F": F,
    "torch": torch,
    "torch.linalg": torch.linalg,
    "torch.special": torch.special,
    "torch.fft": torch.fft,
}
IN_PLACE: Mapping[Any, str] = {operator.iadd: "add_", operator.imul: "mul_", operator.isub: "sub_"}
"""Methods of functions that change their first value."""


def has_weights(layer: nn.Module) -> bool:
    """Return whether a layer is written as an attribute of the module: it is not in the table of functions."""
    return _torch_class(layer) not in (*_FUNCTIONS, nn.Identity, nn.Flatten)


def constructor(layer: nn.Module) -> str:
    """Return the text that makes a layer, such as ``nn.Conv2d(16, 32, 3, padding=1, bias=False)``.

    Raises:
        UserError: The arguments of the layer cannot be read from its attributes.
    """
    return f"nn.{_torch_class(layer).__name__}({', '.join(_arguments(layer))})"


def function_call(layer: nn.Module, x: str) -> str:
    """Return the call of a function that does what a layer without weights does to `x`."""
    kind = _torch_class(layer)
    if kind is nn.Identity:
        return x
    if isinstance(layer, nn.Flatten):
        ends = [layer.start_dim] if layer.end_dim == -1 else [layer.start_dim, layer.end_dim]
        return f"{x}.flatten({', '.join(map(str, ends))})"
    return f"{_FUNCTIONS[kind]}({', '.join([x, *_arguments(layer)])})"


def call_text(target: Any, args: Sequence[str], kwargs: Mapping[str, str]) -> str:
    """Return the call of a function with arguments that are texts already.

    Raises:
        UserError: The function is neither PyTorch's nor an operator.
    """
    if target in INFIX and len(args) == 2:
        return f"{args[0]} {INFIX[target]} {args[1]}"
    if target in IN_PLACE:
        return f"{args[0]}.{IN_PLACE[target]}({args[1]})"
    if target is operator.getitem:
        return args[0] if set(args[1].split(", ")) == {":"} else f"{args[0]}[{args[1]}]"
    if target is getattr:
        return f"{args[0]}.{literal_eval(args[1])}"
    for prefix, namespace in _NAMESPACES.items():
        if name := next((name for name, value in vars(namespace).items() if value is target and name[0] != "_"), None):
            return f"{prefix}.{name}({joined(args, _without_defaults(target, kwargs))})"
    raise UserError(f"the network cannot be written as a module of its own: it calls {target}, which is not PyTorch's.")


def value_text(value: Any) -> str:
    """Return a value as it is written in code, with double quotes."""
    return json.dumps(value) if isinstance(value, str) else repr(value)


def joined(args: Sequence[str], kwargs: Mapping[str, str]) -> str:
    """Return arguments as they stand between the parentheses of a call."""
    return ", ".join([*args, *(f"{name}={value}" for name, value in kwargs.items())])


def _without_defaults(target: Any, kwargs: Mapping[str, str]) -> dict[str, str]:
    try:
        known = inspect.signature(target).parameters
    except ValueError:  # a function in C++
        return dict(kwargs)
    return {
        name: value for name, value in kwargs.items() if name not in known or value != value_text(known[name].default)
    }


def _torch_class(layer: nn.Module) -> type[nn.Module]:
    return next(kind for kind in type(layer).__mro__ if kind.__module__.startswith("torch.nn"))


def _arguments(layer: nn.Module) -> list[str]:
    """Return the arguments of a layer's constructor that are not defaults, read from the attributes of these names."""
    arguments = []
    for name, parameter in inspect.signature(_torch_class(layer)).parameters.items():
        if name in ("device", "dtype") or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if not hasattr(layer, name):
            raise UserError(
                f"the network cannot be written as a module of its own: {type(layer).__name__} does not keep its "
                f"argument {name!r}."
            )
        value = _plain(getattr(layer, name))
        if name == "bias" and not isinstance(value, bool):
            value = value is not None
        if name == "stride" and parameter.default is None and value == _plain(layer.kernel_size):
            continue
        if parameter.default is inspect.Parameter.empty:
            arguments.append(value_text(value))
        elif value != parameter.default:
            arguments.append(f"{name}={value_text(value)}")
    return arguments


def _plain(value: Any) -> Any:
    """Return ``3`` for ``(3, 3)``, as constructors take it."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
