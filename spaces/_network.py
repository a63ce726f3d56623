"""The one class that spaces build and proxies measure, and how it gets its weights."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

Init = Literal["default", "kaiming", "gaussian"]
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


class Network(nn.Module):
    """features: (N, C, H, W) -> (N, C', H', W'); head: -> (N, K) logits. Proxies ask nothing else."""

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) images to (N, K) logits."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


class Auxiliary(nn.Module):
    """A structure beside the main path (shortcut, squeeze-and-excitation) that a score may leave out."""

    active = True


@contextmanager
def without_auxiliaries(network: nn.Module) -> Iterator[None]:
    """The network without its shortcuts and squeeze-and-excitation, as Zen-score and ZiCo define it."""
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
    """Gives a network fresh weights, in place.

    Args:
        network: On the meta device or any other; moved to `device`.
        generator: A CPU generator: the weights are the same on every device.
        init: ``default``: PyTorch's, U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weights and biases;
            ``kaiming``: N(0, 2 / fan_in), zero bias; ``gaussian``: N(0, 1), zero bias.
            Norms get weight 1, bias 0 and fresh running statistics in each.
        device: Where the parameters are to be.

    Raises:
        TypeError: A layer holds parameters and is neither convolution, linear nor norm.
    """
    modules = [module for module in network.modules() if module._parameters or module._buffers]
    for module in modules:
        _allocate(module)
    if not all(_on_cpu(module) for module in modules):
        network.to("cpu")
    with torch.no_grad():
        for module in modules:
            if isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
                _fill(module, generator, init)
            elif isinstance(module, NORMS):
                module.reset_parameters()
            elif next(module.parameters(recurse=False), None) is not None:
                raise TypeError(f"no initialisation is known for the layer {type(module).__name__}")
    return network if torch.device(device).type == "cpu" else network.to(device)


def _allocate(module: nn.Module) -> None:
    """Memory for the module's own meta tensors; `to_empty` takes five times as long."""
    for name, parameter in module._parameters.items():
        if parameter is not None and parameter.is_meta:
            module._parameters[name] = nn.Parameter(torch.empty(parameter.shape), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None and buffer.is_meta:
            module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


def _on_cpu(module: nn.Module) -> bool:
    return all(t is None or t.is_cpu for t in (*module._parameters.values(), *module._buffers.values()))


def _fill(layer: nn.modules.conv._ConvNd | nn.Linear, generator: torch.Generator, init: Init) -> None:
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
