"""Multiply-adds of the functions that multiply matrices: convolutions, linear layers, attention."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CONVOLUTIONS = frozenset({torch.conv1d, torch.conv2d, torch.conv3d})
PRODUCTS = CONVOLUTIONS | {F.linear}
MATMULS = frozenset({torch.matmul, torch.bmm, torch.mm, Tensor.matmul, Tensor.bmm, Tensor.mm, Tensor.__rmatmul__})
MATRIX_PRODUCTS = MATMULS | {torch.einsum, F.scaled_dot_product_attention, F.multi_head_attention_forward}
_ATTENTION = inspect.signature(F.multi_head_attention_forward)


@dataclass(frozen=True)
class Part:
    """A call, or one of the products that it consists of.

    Attributes:
        function: The function of the product.
        shape: Shape of its result.
        multiply_adds: Number of multiply-adds; each counts once, biases do not count.
        parameters: The parameters that it uses; None for all parameters of the call.
    """

    function: Callable[..., Any]
    shape: torch.Size
    multiply_adds: int
    parameters: tuple[Tensor, ...] | None = None


def count(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Tensor) -> list[Part]:
    """Return the products that a call consists of, in order: one, except for multi-head attention.

    A convolution computes each output element from one filter, a linear layer from one row of its weight: (elements of
    the output) x (elements of the weight) / (output channels). A product of tensors computes each output element from
    a row and a column.

    Args:
        func: Any torch function.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        output: Its (first) result.
    """
    if func is F.multi_head_attention_forward:
        return _multi_head_attention(_ATTENTION.bind(*args, **kwargs).arguments, output)
    return [Part(func, output.shape, _multiply_adds(func, args, kwargs, output))]


def _multiply_adds(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Tensor) -> int:
    if func in PRODUCTS:
        weight = args[1] if len(args) > 1 else kwargs["weight"]
        return int(output.numel() * (weight.numel() // weight.shape[0]))
    if func in MATMULS:
        first = args[1] if func is Tensor.__rmatmul__ else args[0]
        return output.numel() * int(first.shape[-1])
    if func is F.scaled_dot_product_attention:
        query, key = args[0], args[1]
        return int((query.numel() + output.numel()) * key.shape[-2])
    return _einsum(*args) if func is torch.einsum else 0


def _einsum(equation: str, *operands: Any) -> int:
    """Return the product of the sizes of all indices: of two operands, every output element sums the others."""
    tensors = operands[0] if isinstance(operands[0], list | tuple) else operands
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    if len(terms) < 2:
        return 0
    if len(terms) > 2 or "." in equation:
        raise NotImplementedError(f"the cost of einsum({equation!r}) is not known")
    sizes = {
        index: side
        for term, tensor in zip(terms, tensors, strict=True)
        for index, side in zip(term, tensor.shape, strict=True)
    }
    return math.prod(sizes.values())


def _multi_head_attention(given: Mapping[str, Any], output: Tensor) -> list[Part]:
    """Return the projections of query, key and value as one linear layer, the attention, and the last projection."""
    query, key, value = given["query"], given["key"], given["value"]
    width = given["embed_dim_to_check"]
    positions = key.shape[0] + (given["bias_k"] is not None) + given["add_zero_attn"]
    rows = sum(tensor.numel() // tensor.shape[-1] for tensor in (query, key, value))
    last = tuple(p for p in (given["out_proj_weight"], given["out_proj_bias"]) if p is not None)
    first = tuple(p for p in given.values() if isinstance(p, Tensor) and not any(p is q for q in last))
    return [
        Part(F.linear, torch.Size((rows, width)), sum(t.numel() for t in (query, key, value)) * width, first),
        Part(F.scaled_dot_product_attention, query.shape, 2 * query.numel() * positions, ()),
        Part(F.linear, output.shape, output.numel() * width, last),
    ]
