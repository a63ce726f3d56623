"""LAMB, an optimiser for large mini-batches that torch does not have."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class Lamb(torch.optim.Optimizer):
    """Adam whose step on each matrix is scaled to the norm of the matrix.

    With the bias-corrected moments m and v of Adam: u = m / (sqrt(v) + eps) + decay * w, and
    w <- w - rate * |w| / |u| * u. Parameters without weight decay take Adam's step, |w| / |u| = 1.

    Args:
        parameters: Parameters, or groups of them with a ``weight_decay`` each.
        lr: Learning rate.
        betas: Decay of both moments.
        eps: Number that keeps the denominator from 0.

    Source: You et al., ICLR 2020, arXiv:1904.00962, alg. 2; as in timm and NVIDIA's FusedLAMB, the scaling leaves out
    parameters without weight decay. Clipping the gradient to the norm 1, their default, is `clip_norm` of a recipe.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update the parameters that have gradients; return what the closure returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update = self._adam_step(parameter, group["betas"], group["eps"])
                    if group["weight_decay"]:
                        update.add_(parameter, alpha=group["weight_decay"])
                        update.mul_(_trust(parameter, update))
                    parameter.sub_(update, alpha=group["lr"])
        return loss

    def _adam_step(self, parameter: nn.Parameter, betas: tuple[float, float], eps: float) -> Tensor:
        """Update the moments of a parameter and return Adam's step."""
        (beta1, beta2), state, gradient = betas, self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state |= {"step": 0, "first": torch.zeros_like(parameter), "second": torch.zeros_like(parameter)}
        state["step"] += 1
        state["first"].lerp_(gradient, 1 - beta1)
        state["second"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        scale = (state["second"] / (1 - beta2 ** state["step"])).sqrt_().add_(eps)
        step: Tensor = state["first"] / (1 - beta1 ** state["step"])
        return step.div_(scale)


def _trust(parameter: Tensor, update: Tensor) -> Tensor:
    """Return |w| / |u|, or 1 where either is 0, without reading it."""
    weight, step = torch.linalg.vector_norm(parameter), torch.linalg.vector_norm(update)
    return torch.where((weight > 0) & (step > 0), weight / step, 1.0)
