"""Straightforward implementations of published proxies: the baseline of `proxies.py`.

They follow zero-cost-nas (Abdelfattah et al.) and NASWOT; for ZenNAS, TE-NAS and ZiCo the baseline is the reference
mode of the proxy itself. Each function takes a network with weights, images (N, C, H, W) and labels, and returns the
score.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call


def layers(network: nn.Module) -> list[tuple[str, nn.Conv2d | nn.Linear]]:
    return [(name, m) for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]


@contextmanager
def hooked(modules: list[nn.Module], hook: Any) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    F.cross_entropy(network(images), labels).backward()
    return sum(float(layer.weight.grad.norm()) for _, layer in layers(network))


def snip(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    weights = {f"{name}.weight": layer.weight.detach() for name, layer in layers(network)}
    masks = {name: torch.ones_like(weight, requires_grad=True) for name, weight in weights.items()}
    masked = {name: weights[name] * mask for name, mask in masks.items()}
    F.cross_entropy(functional_call(network, masked, (images,)), labels).backward()
    return sum(float(mask.grad.abs().sum()) for mask in masks.values())


def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = lambda x: x  # type: ignore[method-assign]
    network(torch.ones_like(images[:1]).double()).sum().backward()
    parts = [(layer.weight.detach() * layer.weight.grad).abs().sum() for _, layer in layers(network)]
    return float(torch.stack(parts).sum().log())


def fisher(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        output.retain_grad()
        outputs.append(output)

    with hooked([layer for _, layer in layers(network)], keep):
        F.cross_entropy(network(images), labels).backward()
    total = 0.0
    for output in outputs:
        products = output.detach() * output.grad
        inner = products.flatten(2).sum(2) if products.dim() > 2 else products
        total += float(inner.square().mean(0).sum() / 2)
    return total


def naswot(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)

    def add(module: nn.Module, inputs: Any, output: Tensor) -> None:
        states = (output.reshape(len(output), -1) > 0).float()
        kernel.add_((states @ states.T).double() + ((1 - states) @ (1 - states).T).double())

    with torch.no_grad(), hooked([m for m in network.modules() if isinstance(m, nn.ReLU)], add):
        network(images)
    return float(torch.linalg.slogdet(kernel).logabsdet)


SCORES = {f.__name__: f for f in (grad_norm, snip, synflow, fisher, naswot)}
