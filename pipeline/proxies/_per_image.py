"""Gradients per image, layer by layer, in one backward pass: without the (N, P) Jacobian."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pipeline.errors import ScoreUndefined
from pipeline.proxies._activations import out_of_place
from pipeline.proxies._patches import Pair, Patches

SAMPLE = 8  # images that estimate the two expectations of `PerImageGradients`: as good as all of 32


@dataclass(eq=False)
class _Norm:
    """A batch norm y = gamma zhat + beta, zhat = (z - mean) inverse, and what came back to it.

    Attributes:
        z: Its input (N, C, H, W).
        mean: Per channel.
        inverse: 1 / sqrt(variance + eps) per channel.
        gamma: Per channel.
        take_rows: Gets the gradient of gamma.
        dy_sum: sum_s dy_ncs, (N, C); None until the backward pass has come here.
        dy_zhat_sum: sum_s dy_ncs zhat_ncs, (N, C).
    """

    z: Tensor
    mean: Tensor
    inverse: Tensor
    gamma: Tensor
    take_rows: Callable[[Tensor], None]
    dy_sum: Tensor | None = None
    dy_zhat_sum: Tensor | None = None

    def back(self, dy: Tensor) -> Tensor:
        """The gradient of z, every image for itself: the statistics are constants."""
        product = dy * self.z
        self.dy_sum = dy.sum((2, 3))
        self.dy_zhat_sum = (product.sum((2, 3)) - self.mean * self.dy_sum) * self.inverse
        self.take_rows(self.dy_zhat_sum)
        return torch.mul(dy, (self.gamma * self.inverse)[:, None, None], out=product)

    def back_together(self, dy: Tensor) -> Tensor:
        """The gradient of z of the batch's sum: the statistics depend on z."""
        dz, dgamma, _ = torch.ops.aten.native_batch_norm_backward(
            dy, self.z, self.gamma, None, None, self.mean, self.inverse, True, 0.0, [True, True, False]
        )
        self.take_rows(dgamma[None])
        gradient: Tensor = dz
        return gradient


class _BatchNorm(torch.autograd.Function):
    """Batch norm with a choice of backward passes."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, ys: list[Tensor], back: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.back = back
        return ys[0]  # in a list, it is no input and may be changed in place

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        return ctx.back(dy), None, None


@dataclass(eq=False)
class _Convolution:
    """One call of a convolution: its input, its geometry, and the train-mode batch norms that follow directly."""

    x: Tensor
    patches: Patches
    norms: list[_Norm] = field(default_factory=list)

    def rows(self, dz: Tensor) -> Tensor:
        """The weight's gradient for every image, (N, O, D)."""
        rows = self.patches.per_image(self.x, dz)
        for norm in self.norms:
            if norm.dy_sum is not None and norm.dy_zhat_sum is not None:
                rows = self._corrected(rows, norm, norm.dy_sum, norm.dy_zhat_sum)
        return rows

    def total(self, dz: Tensor) -> Tensor:
        """The weight's gradient for the batch, (1, O, D)."""
        return self.patches.summed(self.x, dz)[None]

    def _corrected(self, rows: Tensor, norm: _Norm, dy_sum: Tensor, dy_zhat_sum: Tensor) -> Tensor:
        """The rows without the two directions that the batch's mean and variance cancel."""
        x, z = self.x[:SAMPLE], norm.z[:SAMPLE]
        count = z.numel() // z.shape[1]
        mean_u = self.patches.total(x) / count
        mean_zu = self.patches.summed(x, z) / count
        mean_zhat_u = (mean_zu - z.mean((0, 2, 3))[:, None] * mean_u) * norm.inverse[:, None]
        sums = torch.stack([dy_sum, dy_zhat_sum], dim=2) * (norm.gamma * norm.inverse)[:, None]
        directions = torch.stack([mean_u, mean_zhat_u], dim=1)
        return torch.baddbmm(rows.transpose(0, 1), sums.transpose(0, 1), directions, alpha=-1).transpose(0, 1)


class PerImageGradients(TorchFunctionMode):
    """Runs a network so that `backward` of a sum over images yields every image's own gradient.

    For each weight of a convolution, linear layer or batch norm `take` gets the rows (N, elements): row i the gradient
    of image i's term. Batch norms use fixed statistics: in train mode the batch's, in eval mode the running ones.

    With `batch_statistics` the rows get most of what the derivative of the batch's statistics adds in train mode:

    * The part that stays within a layer. For a convolution z = W u before a batch norm, s the positions of image i,
      row_c = gamma_c / sigma_c (sum_s dy_cs u_s - (sum_s dy_cs) E[u] - (sum_s dy_cs zhat_cs) E[zhat_c u]), E the mean
      over positions and over some images of the batch.
    * The mean over the rows is exact, from a second backward pass, of the batch: the network's mean output hardly
      depends on the weights, since batch norms fix the features' mean, which no image sees for itself.

    Without batch norms in train mode everything is exact.
    """

    def __init__(self, take: Callable[[Tensor], None], *, batch_statistics: bool = False) -> None:
        super().__init__()
        self._take = take
        self._batch_statistics = batch_statistics
        self._together = False
        self._depends_on_batch = False
        self._uses: Counter[int] = Counter()
        self._rows: dict[int, Tensor] = {}
        self._totals: dict[int, Tensor] = {}
        self._handlers: dict[Callable[..., Any], Callable[..., Tensor]] = {
            torch.conv2d: self._convolution,
            F.linear: self._linear,
            F.batch_norm: self._batch_norm,
        }

    def backward(self, total: Tensor) -> None:
        """Goes back from the sum over images of the network's output; `take` gets the rows of all weights.

        Raises:
            ScoreUndefined: The sum does not depend on any weight.
        """
        if not total.requires_grad:
            raise ScoreUndefined("the output does not depend on any weight")
        if self._batch_statistics and self._depends_on_batch:
            self._together = True
            torch.autograd.backward(total, retain_graph=True)
            self._together = False
        torch.autograd.backward(total)
        for key in list(self._rows):
            self._complete(key)

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if handler := self._handlers.get(func):
            return handler(*args, **(kwargs or {}))
        result = func(*args, **out_of_place(kwargs))
        if isinstance(result, Tensor) and any(isinstance(a, nn.Parameter) for a in args):
            name = getattr(func, "__name__", func)
            raise NotImplementedError(
                f"no fast way for a layer that gives parameters to {name!r}: use mode='reference'"
            )
        return result

    def _convolution(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
    ) -> Tensor:
        z = torch.conv2d(x, weight.detach(), _detached(bias), stride, padding, dilation, groups)
        call = _Convolution(x.detach(), Patches.of(weight.detach(), stride, padding, dilation, groups))
        z._convolution = call  # type: ignore[attr-defined]
        return self._watched(z, weight, lambda dz: call.total(dz) if self._together else call.rows(dz))

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        inputs = x.detach().reshape(len(x), -1, x.shape[-1])
        y = F.linear(x, weight.detach(), _detached(bias))

        def rows(dy: Tensor) -> Tensor:
            gradients = dy.reshape(len(dy), -1, dy.shape[-1]).mT @ inputs
            return gradients.sum(0, keepdim=True) if self._together else gradients

        return self._watched(y, weight, rows)

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        z, gamma, beta = x.detach(), _detached(weight), _detached(bias)
        if training:
            y, mean, inverse = torch.native_batch_norm(z, gamma, beta, None, None, True, 0.0, eps)
        else:
            assert running_mean is not None
            assert running_var is not None
            y = F.batch_norm(z, running_mean, running_var, gamma, beta, False, 0.0, eps)
            mean, inverse = running_mean, (running_var + eps).rsqrt()
        take_rows = _ignore if weight is None else partial(self._add, self._opened(weight))
        norm = _Norm(z, mean, inverse, torch.ones_like(mean) if gamma is None else gamma, take_rows)
        self._depends_on_batch |= training
        if training and self._batch_statistics and hasattr(x, "_convolution"):
            x._convolution.norms.append(norm)
        if not x.requires_grad:
            x.requires_grad_()
        back = lambda dy: norm.back_together(dy) if self._together else norm.back(dy)  # noqa: E731
        return _BatchNorm.apply(x, [y], back)  # type: ignore[no-any-return, no-untyped-call]

    def _opened(self, weight: Tensor) -> int:
        self._uses[id(weight)] += 1
        return id(weight)

    def _watched(self, y: Tensor, weight: Tensor, rows: Callable[[Tensor], Tensor]) -> Tensor:
        """`y`, whose gradient will become rows for this weight."""
        if not y.requires_grad:
            y.requires_grad_()
        key = self._opened(weight)
        y.register_hook(lambda dy: self._add(key, rows(dy)))  # type: ignore[no-untyped-call]
        return y

    def _add(self, key: int, rows: Tensor) -> None:
        """Adds the rows of one use of a weight; with the last one they are complete."""
        sums = self._totals if self._together else self._rows
        rows = rows.flatten(1)
        sums[key] = sums[key] + rows if key in sums else rows
        if not self._together:
            self._uses[key] -= 1
            if not self._uses[key]:
                self._complete(key)

    def _complete(self, key: int) -> None:
        rows = self._rows.pop(key)
        if key in self._totals:
            rows = rows + (self._totals.pop(key) - rows.sum(0)) / len(rows)
        self._take(rows)


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()


def _ignore(rows: Tensor) -> None:
    """The rows of a norm without parameters."""
