"""Initialisation of networks: what goes to another device than the CPU lies side by side, and goes in one copy."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import torch
from torch import nn

from zenfront.spaces._layers import BatchNorm2d
from zenfront.spaces._memory import Memory, Owner, Place, set_tensor
from zenfront.spaces._network import Network

Init = Literal["default", "kaiming", "gaussian"]
Layer = nn.modules.conv._ConvNd | nn.Linear
LAYERS = (nn.modules.conv._ConvNd, nn.Linear)
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
KNOWN = (*LAYERS, *NORMS)
PLAIN_NORMS = frozenset({BatchNorm2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm})
"""Norms that are known to begin with weight 1, bias 0, mean 0 and variance 1; others reset themselves."""


def initialise(
    network: Network,
    generator: torch.Generator,
    init: Init = "kaiming",
    device: torch.device | str = "cpu",
) -> Network:
    """Initialise the weights of a network in place.

    Args:
        network: Network on the meta device or any other device. It is moved to `device`.
        generator: Random number generator on the CPU, so that the weights are the same on every device; or on `device`,
            where the weights are drawn faster, and others.
        init: ``default``: PyTorch's default, U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weights and biases.
            ``kaiming``: N(0, 2 / fan_in) for weights, zero for biases. ``gaussian``: N(0, 1) for weights, zero for
            biases. Norms always get weight 1, bias 0 and fresh running statistics.
        device: Target device of the parameters.

    Returns:
        The network.

    Raises:
        TypeError: A layer with parameters is neither a convolution nor a linear layer nor a norm.
    """
    target = torch.device(device)
    modules = [module for module in network.modules() if module._parameters or module._buffers]
    for module in modules:
        if not isinstance(module, KNOWN) and next(module.parameters(recurse=False), None) is not None:
            raise TypeError(f"no initialisation is defined for the layer {type(module).__name__}")
    with torch.no_grad():
        if target.type == "cpu":
            for module in modules:
                _bring(module, target)
            _draw_one_by_one(modules, generator, init)
        else:
            draw_in_new_memory(modules, generator, init, target)
    return network


def draw_in_new_memory(
    modules: Sequence[nn.Module], generator: torch.Generator, init: Init, target: torch.device
) -> None:
    """Draw the weights of some modules in memory where they lie side by side, and copy it to a device.

    Args:
        modules: The modules; all tensors of layers and norms get new memory.
        generator: Random number generator on the CPU, which draws layer by layer as on a CPU, or on `target`.
        init: As of `initialise`.
        target: Device of the tensors in the end.
    """
    home = generator.device
    memories = Memory.of(place for module in modules for place in _places(module, init))
    for memory in memories:
        memory.allocate(home, pinned=home.type == "cpu" and target.type == "cuda")
    remaining = [module for module in modules if type(module) not in PLAIN_NORMS]
    if home.type != "cpu":
        for memory in memories:
            memory.draw(generator, uniform=init == "default")
        remaining = [module for module in remaining if isinstance(module, NORMS)]
    _draw_one_by_one(remaining, generator, init)
    for memory in memories if home.type != target.type else ():
        memory.move(target)
    for module in modules:
        _bring(module, target)


def _places(module: nn.Module, init: Init) -> Iterator[Place]:
    """Yield the parameters and buffers of a layer or norm, with what they begin with."""
    owners: tuple[Owner, Owner] = (module._parameters, module._buffers)
    for owner in owners:
        for name, like in owner.items():
            if like is None:
                continue
            if isinstance(module, NORMS):
                plain = type(module) in PLAIN_NORMS
                yield Place(owner, name, like, float(name in ("weight", "running_var")) if plain else None)
            elif isinstance(module, LAYERS) and name in ("weight", "bias"):
                drawn = name == "weight" or init == "default"
                yield Place(owner, name, like, None if drawn else 0.0, _scale(module, init) if drawn else None)


def _bring(module: nn.Module, device: torch.device) -> None:
    """Bring what a module has elsewhere to a device; from the meta device, as memory without values."""
    owners: tuple[Owner, Owner] = (module._parameters, module._buffers)
    for owner in owners:
        for name, tensor in owner.items():
            if tensor is None or (tensor.is_cpu and device.type == "cpu"):  # the common case, quickly
                continue
            if tensor.is_meta and device.type != "meta":
                set_tensor(owner, name, torch.empty(tensor.shape, dtype=tensor.dtype, device=device))
            elif tensor.device.type != device.type:
                set_tensor(owner, name, tensor.data.to(device))


def _draw_one_by_one(modules: Iterable[nn.Module], generator: torch.Generator, init: Init) -> None:
    for module in modules:
        if isinstance(module, LAYERS):
            draw_weights(module, generator, init)
        elif isinstance(module, NORMS):
            module.reset_parameters()


def draw_weights(layer: Layer, generator: torch.Generator, init: Init) -> None:
    """Draw the weights and biases of a layer in place, as `initialise` does; call it without gradients."""
    scale = _scale(layer, init)
    if init == "default":
        layer.weight.uniform_(-scale, scale, generator=generator)
        if layer.bias is not None:
            layer.bias.uniform_(-scale, scale, generator=generator)
        return
    layer.weight.normal_(0, scale, generator=generator)
    if layer.bias is not None:
        layer.bias.zero_()


def _scale(layer: Layer, init: Init) -> float:
    """Return the standard deviation of the weights, or the bound of a uniform distribution."""
    fan_in = layer.weight[0].numel()
    if init == "default":
        return 1 / math.sqrt(fan_in)
    return 1.0 if init == "gaussian" else math.sqrt(2 / fan_in)
