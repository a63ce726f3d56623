"""Names of the layers of a network in a module of its own: ``stem_conv``, ``stage1_block2_norm1``, ``head``."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from torch import nn

from zenfront.pipeline.export.layer_text import has_weights
from zenfront.pipeline.export.tracing import Call

_ROLES = {
    "branch": "",
    "cells": "",
    "excite": "se",
    "first": "input1",
    "operations": "op",
    "projections": "projection",
    "second": "input2",
}
"""Names of parts in the names of their layers, if not their own."""
_LISTS = (nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Unit:
    """A part of a network that is written under one comment: the stem, a block, a cell, the head.

    Attributes:
        path: Dotted path of its module.
        name: Beginning of the names of its layers, ``stage1_block2``.
        title: Comment, ``stage 1, block 2``.
        calls: Its calls.
    """

    path: str
    name: str
    title: str
    calls: tuple[Call, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its result, without the batch."""
        return self.calls[-1].shape


def units(network: nn.Module, calls: Sequence[Call]) -> list[Unit]:
    """Return the units of a network in the order in which they are called; input and output belong to none."""
    inner = [call for call in calls if call.node.op not in ("placeholder", "output")]
    groups = [(path, tuple(group)) for path, group in groupby(inner, lambda call: _unit_path(network, call.path))]
    names = _unit_names(network, groups)
    return [Unit(path, name, title, group) for (path, group), (name, title) in zip(groups, names, strict=True)]


def layer_names(network: nn.Module, found: Sequence[Unit]) -> dict[str, str]:
    """Return the name of each layer and each tensor of the network itself, by its dotted path."""
    wanted: dict[str, list[str]] = {}
    for unit in found:
        for call in unit.calls:
            if call.layer is None and call.node.op != "get_attr":
                continue
            if call.layer is not None and not has_weights(call.layer):
                continue
            path = str(call.node.target)
            parts = [*_roles(network, unit.path, path), _kind(call, path)]
            wanted.setdefault(path, [unit.name] if path == unit.name else [unit.name, *parts])
    if heads := [path for path in wanted if path.startswith("head.")]:
        wanted[heads[0]] = ["head"] if len(heads) == 1 else wanted[heads[0]]
    plain = {path: "_".join(filter(None, parts)) for path, parts in wanted.items()}
    return dict(_numbered(plain))


def _numbered(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the names; those that occur more than once get a number."""
    total, seen = Counter(names.values()), Counter[str]()
    for path, name in names.items():
        seen[name] += 1
        yield path, f"{name}{seen[name]}" if total[name] > 1 else name


def _unit_path(network: nn.Module, path: str) -> str:
    """Return the path of the unit that a module belongs to: a child of the features or of a list in them; the head."""
    parts = path.split(".")
    if parts[0] != "features":
        return parts[0]
    depth = 2
    while depth < len(parts) and _is_group(network.get_submodule(".".join(parts[:depth]))):
        depth += 1
    return ".".join(parts[:depth])


def _is_group(module: nn.Module) -> bool:
    """Return whether a module only holds units: it is a list, or a sequence of modules that all have several layers."""
    if isinstance(module, _LISTS):
        return True
    return isinstance(module, nn.Sequential) and len(module) > 1 and all(_is_composed(each) for each in module)


def _is_composed(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


def _unit_names(network: nn.Module, groups: Sequence[tuple[str, tuple[Call, ...]]]) -> Iterator[tuple[str, str]]:
    """Yield name and title of each unit: a stage begins where the shape changes."""
    stage, place = 0, 0
    before: tuple[int, ...] = ()
    for index, (path, group) in enumerate(groups):
        shape, cell = group[-1].shape, "Cell" in type(network.get_submodule(path)).__name__
        if not path.startswith("features"):
            yield path or "output", path or "output"
        elif not any(call.layer is not None and has_weights(call.layer) for call in group):
            yield ("between", "between the stages") if before else ("input", "input")
        elif not before:
            before = shape
            yield "stem", "stem"
        elif _is_last(network, groups, index):
            yield "final", "final layers"
        else:
            compared = slice(1, None) if cell else slice(None)
            if stage == 0 or shape[compared] != before[compared]:
                stage, place = stage + 1, 0
            place, before = place + 1, shape
            word = "cell" if cell else "block"
            yield f"stage{stage}_{word}{place}", f"stage {stage}, {word} {place}"


def _is_last(network: nn.Module, groups: Sequence[tuple[str, tuple[Call, ...]]], index: int) -> bool:
    """Return whether a unit is layers after the last block: a short sequence of layers, unlike the unit before it."""
    later = [path for path, _ in groups[index + 1 :] if path.startswith("features")]
    module, before = (network.get_submodule(groups[place][0]) for place in (index, index - 1))
    is_plain = isinstance(module, nn.Sequential) and not any(map(_is_composed, module.children()))
    return not later and is_plain and _kinds(module) != _kinds(before)


def _kinds(module: nn.Module) -> list[str]:
    return [type(each).__name__ for each in module.modules()]


def _roles(network: nn.Module, unit: str, path: str) -> Iterator[str]:
    """Yield what the parts between a unit and a layer say about the layer."""
    parts = path.split(".")
    start = len(unit.split("."))
    for end in range(start, len(parts) - 1):
        above = network.get_submodule(".".join(parts[:end]))
        part = parts[end]
        if isinstance(above, _LISTS):
            role = _ROLES.get(parts[end - 1], parts[end - 1])
            number = str(int(part) + 1) if isinstance(above, nn.ModuleList) else part
            yield role + number if number.isdecimal() else number
        elif not part.isdecimal() and not isinstance(network.get_submodule(".".join(parts[: end + 1])), _LISTS):
            yield _ROLES.get(part, part)


def _kind(call: Call, path: str) -> str:
    last = path.rpartition(".")[2]
    if not last.isdecimal() or call.layer is None:
        return last
    kind = type(call.layer).__name__
    return next((word for word in ("conv", "norm", "linear") if word in kind.lower()), kind.lower())
