"""The network class that spaces build and proxies score, and its initialisation."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

Init = Literal["default", "kaiming", "gaussian"]
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


class Network(nn.Module):
    """A network of features and a head, which is all that proxies require.

    Attributes:
        features: Module (N, C, H, W) -> (N, C', H', W').
        head: Module (N, C', H', W') -> (N, K) logits.
        allows_in_place: Whether ReLUs of the network's containers may overwrite their input: nothing else reads it.
    """

    allows_in_place = True

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits (N, K) of images (N, C, H, W)."""
        return self.head(self.features(x))  # type: ignore[no-any-return]

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The blocks of the features, in call order: their direct children."""
        return list(self.features.children())


class Auxiliary(nn.Module):
    """Base class of structures beside the main path (shortcut, squeeze-and-excitation) that a score may disable."""

    active = True


@contextmanager
def without_auxiliaries(network: nn.Module) -> Iterator[None]:
    """Disable shortcuts and squeeze-and-excitation, as the definitions of Zen-score and ZiCo require."""
    changed = [module for module in network.modules() if isinstance(module, Auxiliary) and module.active]
    for module in changed:
        module.active = False
    try:
        yield
    finally:
        for module in changed:
            module.active = True


def initialise(
    network: Network,
    generator: torch.Generator,
    init: Init = "kaiming",
    device: torch.device | str = "cpu",
) -> Network:
    """Initialise the weights of a network in place.

    Args:
        network: Network on the meta device or any other device. It is moved to `device`.
        generator: Random number generator on the CPU, so that the weights are the same on every device.
        init: ``default``: PyTorch's default, U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weights and biases.
            ``kaiming``: N(0, 2 / fan_in) for weights, zero for biases. ``gaussian``: N(0, 1) for weights, zero for
            biases. Norms always get weight 1, bias 0 and fresh running statistics.
        device: Target device of the parameters.

    Returns:
        The network.

    Raises:
        TypeError: A layer with parameters is neither a convolution nor a linear layer nor a norm.
    """
    modules = [module for module in network.modules() if module._parameters or module._buffers]
    for module in modules:
        _allocate(module)
    if not all(_on_cpu(module) for module in modules):
        network.to("cpu")
    with torch.no_grad():
        for module in modules:
            if isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
                draw_weights(module, generator, init)
            elif isinstance(module, NORMS):
                module.reset_parameters()
            elif next(module.parameters(recurse=False), None) is not None:
                raise TypeError(f"no initialisation is defined for the layer {type(module).__name__}")
    return network if torch.device(device).type == "cpu" else network.to(device)


def _allocate(module: nn.Module) -> None:
    """Allocate memory for the meta tensors of the module itself, 5× faster than `to_empty`."""
    for name, parameter in module._parameters.items():
        if parameter is not None and parameter.is_meta:
            module._parameters[name] = nn.Parameter(torch.empty(parameter.shape), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None and buffer.is_meta:
            module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


def _on_cpu(module: nn.Module) -> bool:
    return all(t is None or t.is_cpu for t in (*module._parameters.values(), *module._buffers.values()))


def draw_weights(layer: nn.modules.conv._ConvNd | nn.Linear, generator: torch.Generator, init: Init) -> None:
    """Draw the weights and biases of a layer on the CPU in place, as `initialise` does; call it without gradients."""
    fan_in = layer.weight[0].numel()
    if init == "default":
        bound = 1 / math.sqrt(fan_in)
        layer.weight.uniform_(-bound, bound, generator=generator)
        if layer.bias is not None:
            layer.bias.uniform_(-bound, bound, generator=generator)
        return
    std = 1.0 if init == "gaussian" else math.sqrt(2 / fan_in)
    layer.weight.normal_(0, std, generator=generator)
    if layer.bias is not None:
        layer.bias.zero_()
