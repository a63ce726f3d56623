"""Averages of the weights over the steps of the training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zenfront.pipeline.supernet.evaluation import kept


class WeightAverage:
    """Average of weights and statistics over steps.

    Args:
        module: Module whose weights are averaged.
        decay: Weight of the average in the next one: an exponential moving average that starts at the first weights. 0:
            all weights count alike, as in stochastic weight averaging.

    Source: Izmailov et al., Averaging weights leads to wider optima, UAI 2018, arXiv:1803.05407, for equal weights.
    """

    def __init__(self, module: nn.Module, decay: float = 0.0) -> None:
        self._module, self._decay, self._count = module, decay, 0
        self._average = [tensor.detach().clone() for tensor in floating(module)]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the present weights."""
        share = 1 - self._decay if self._decay else 1 / (self._count + 1)
        torch._foreach_lerp_(self._average, [tensor.detach() for tensor in floating(self._module)], share)
        self._count += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the module the averaged weights for a block."""
        with kept(self._module):
            with torch.no_grad():
                for tensor, value in zip(floating(self._module), self._average, strict=True):
                    tensor.copy_(value)
            yield

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes."""
        return {"count": self._count, "average": self._average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the result of `state_dict`."""
        self._count = state["count"]
        for tensor, value in zip(self._average, state["average"], strict=True):
            tensor.copy_(value)


def floating(module: nn.Module) -> list[Tensor]:
    """Return the weights and statistics of a module that an average is over, in a fixed order."""
    return [tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.is_floating_point()]
