"""The blocks of a user's module, whose outputs the scores of AZ-NAS compare."""

from collections.abc import Callable

from torch import nn

from zenfront.pipeline.foreign.steps import ForwardPass

LAYERS = (nn.modules.conv._ConvNd, nn.Linear, nn.MultiheadAttention)
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def block_names(module: nn.Module, passed: ForwardPass, features: int) -> list[str]:
    """Return the names of the blocks up to the features, in call order.

    Blocks are the outermost modules with layers that put out feature maps (N, C, H, W) which everything goes through:
    neither a part of a residual branch nor a squeeze-and-excitation is one. Containers of modules are opened. If there
    is only one block, its parts are the blocks; in a plain sequence of layers, a block ends before the next layer.

    Args:
        module: The module.
        passed: Its forward pass.
        features: Number of the step that computes the features.
    """
    ends = {number for number in passed.on_every_path(features) if len(passed.steps[number].shape) == 4}

    def usable(name: str) -> bool:
        return passed.modules.get(name) in ends

    found = _candidates(module, "", usable)
    while len(found) == 1 and (inside := _parts(module.get_submodule(found[0]), f"{found[0]}.", usable)):
        found = inside
    return sorted(found, key=lambda name: passed.modules[name])


def _parts(block: nn.Module, prefix: str, usable: Callable[[str], bool]) -> list[str]:
    if isinstance(block, nn.Sequential) and not any(map(_is_composite, block)):
        return _ends(block, prefix, usable)
    return _candidates(block, prefix, usable)


def _candidates(module: nn.Module, prefix: str, usable: Callable[[str], bool]) -> list[str]:
    found: list[str] = []
    for name, child in module.named_children():
        if not _has_layers(child):
            continue
        if isinstance(child, nn.ModuleList | nn.ModuleDict) or _holds_blocks(child):
            found += _candidates(child, f"{prefix}{name}.", usable)
        elif usable(prefix + name):
            found.append(prefix + name)
    return found


def _ends(sequence: nn.Sequential, prefix: str, usable: Callable[[str], bool]) -> list[str]:
    names, layers = zip(*sequence.named_children(), strict=True)
    before_next = [place - 1 for place, layer in enumerate(layers) if place and _has_layers(layer)]
    return [prefix + names[place] for place in [*before_next, len(names) - 1] if usable(prefix + names[place])]


def _holds_blocks(module: nn.Module) -> bool:
    """Return whether a module is a container of several modules with layers, not all of them layers themselves."""
    parts = [part for part in module.children() if _has_layers(part)]
    return isinstance(module, CONTAINERS) and len(parts) > 1 and any(map(_is_composite, parts))


def _has_layers(module: nn.Module) -> bool:
    return any(isinstance(part, LAYERS) for part in module.modules())


def _is_composite(module: nn.Module) -> bool:
    return next(module.children(), None) is not None
