"""The calls of a network in order, as torch.fx records them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.layer_text import IN_PLACE
from zenfront.spaces import Task


@dataclass(frozen=True)
class Call:
    """A node of the graph.

    Attributes:
        node: What is called with which arguments.
        path: Dotted path of the innermost module that makes the call, or for a layer its own path.
        layer: The layer that is called; None for a function, a method or an attribute.
        shape: Shape of the result without the batch; empty if it is no tensor.
    """

    node: fx.Node
    path: str
    layer: nn.Module | None
    shape: tuple[int, ...]


class _Tracer(fx.Tracer):
    """Goes into every module but those whose `forward` is PyTorch's own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        is_container = isinstance(m, nn.Sequential | nn.ModuleList | nn.ModuleDict)
        return type(m).forward.__module__.startswith("torch.nn") and not is_container


def calls(network: nn.Module, task: Task) -> list[Call]:
    """Return all calls of a network in evaluation mode, the input first and the result last.

    Raises:
        UserError: The calls depend on the values of the images, so that they cannot be written down.
    """
    try:
        traced = fx.GraphModule(network, _without_unused(_Tracer().trace(network)))
        with torch.no_grad():
            ShapeProp(traced).propagate(torch.zeros(1, task.channels, task.height, task.width))
    except Exception as error:  # the code of a space of the user's own may raise anything
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            "the network cannot be written as a module of its own: torch.fx cannot record its calls "
            f"({type(error).__name__}: {reason})."
        ) from error
    return list(_calls(traced))


def _without_unused(graph: fx.Graph) -> fx.Graph:
    """Remove the calls of functions whose result nothing reads; layers stay, since they may count what they see."""
    for node in reversed(graph.nodes):
        in_place = node.target in IN_PLACE or str(node.target).endswith("_") or node.kwargs.get("inplace")
        if node.op in ("call_function", "call_method") and not node.users and not in_place:
            graph.erase_node(node)
    return graph


def _calls(traced: fx.GraphModule) -> Iterator[Call]:
    for node in traced.graph.nodes:
        inner = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
        if node.op == "get_attr":
            inner.append(str(node.target).rpartition(".")[0])
        layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        meta = node.meta.get("tensor_meta")
        shape = tuple(meta.shape[1:]) if isinstance(getattr(meta, "shape", None), torch.Size) else ()
        yield Call(node, str(node.target) if layer is not None else (inner[-1] if inner else ""), layer, shape)
