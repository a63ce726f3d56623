"""Everything of a network and of its surroundings that a proxy could leave a mark on."""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zenfront.spaces import Auxiliary, Network


class Traces:
    """A picture of a network before it is scored: modes, settings, hooks, tensors, gradients, global generators.

    The network is first brought into a state that a careless proxy would not restore: gradients that are not zero, one
    frozen parameter, a mode that differs between features and head, an unusual momentum.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        if next(network.parameters()).device.type != "meta":
            for parameter in network.parameters():
                parameter.grad = torch.full_like(parameter, 0.5)
        next(network.parameters()).requires_grad_(False)
        network.features.train()
        network.head.eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.25
            if isinstance(module, Auxiliary):
                module.active = True
        self._before = self._now()

    def _now(self) -> list[Any]:
        modules = [(m, m.training, dict(vars(m))) for m in self._network.modules()]
        hooks = [(m._forward_hooks, m._forward_pre_hooks, m._backward_hooks) for m, _, _ in modules]
        settings = [
            (training, {k: v for k, v in values.items() if isinstance(v, bool | int | float | str)})
            for _, training, values in modules
        ]
        tensors = [*self._network.parameters(), *self._network.buffers()]
        values = [(id(t), t.dtype, t.requires_grad, t.is_meta or t.detach().clone(), t.grad) for t in tensors]
        gradients = [t.grad.clone() for t in tensors if t.grad is not None]
        numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
        return [copy.deepcopy(hooks), settings, values, gradients, torch.get_rng_state(), str(numpy_state)]

    def assert_none(self) -> None:
        """Assert that nothing has changed since."""
        for before, now in zip(self._before, self._now(), strict=True):
            assert _equal(before, now)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return a.is_meta or torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)
