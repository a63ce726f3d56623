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

from pipeline.proxies._patches import Pair, Patches


@dataclass(eq=False)
class _Norm:
    """A batch norm y = gamma zhat + beta, zhat = (z - mean) inverse, and what came back to it.

    Attributes:
        z: Its input (N, C, H, W).
        mean: Per channel.
        inverse: 1 / sqrt(variance + eps) per channel.
        scale: gamma inverse.
        dy_sum: sum_s dy_ncs, (N, C); None until the backward pass has come here.
        dy_zhat_sum: sum_s dy_ncs zhat_ncs, (N, C): the gradient of gamma.
    """

    z: Tensor
    mean: Tensor
    inverse: Tensor
    scale: Tensor
    dy_sum: Tensor | None = None
    dy_zhat_sum: Tensor | None = None

    def take(self, dy: Tensor) -> Tensor:
        """Keeps the two sums; the rows for gamma."""
        self.dy_sum = dy.sum((2, 3))
        self.dy_zhat_sum = ((dy * self.z).sum((2, 3)) - self.mean * self.dy_sum) * self.inverse
        return self.dy_zhat_sum


class _FixedBatchNorm(torch.autograd.Function):
    """Batch norm whose backward pass takes the statistics for constants."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, y: Tensor, norm: _Norm, take_rows: Callable[[Tensor], None] | None) -> Tensor:
        ctx.norm, ctx.take_rows = norm, take_rows
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None, None]:
        rows = ctx.norm.take(dy)
        if ctx.take_rows is not None:
            ctx.take_rows(rows)
        return dy * ctx.norm.scale[:, None, None], None, None, None


@dataclass(eq=False)
class _Convolution:
    """One call of a convolution: the input, the geometry, and the train-mode batch norms that follow directly."""

    x: Tensor
    patches: Patches
    norms: list[_Norm] = field(default_factory=list)

    def rows(self, dz: Tensor) -> Tensor:
        """(N, O, D)."""
        rows = self.patches.per_image(self.x, dz)
        for norm in self.norms:
            if norm.dy_sum is not None and norm.dy_zhat_sum is not None:
                rows = self._corrected(rows, norm, norm.dy_sum, norm.dy_zhat_sum)
        return rows

    def _corrected(self, rows: Tensor, norm: _Norm, dy_sum: Tensor, dy_zhat_sum: Tensor) -> Tensor:
        """The rows without the two directions that the batch's mean and variance cancel."""
        count = norm.z.numel() // norm.z.shape[1]
        mean_u = self.patches.total(self.x) / count
        mean_zu = self.patches.summed(self.x, norm.z) / count
        mean_zhat_u = (mean_zu - norm.mean[:, None] * mean_u) * norm.inverse[:, None]
        sums = torch.stack([dy_sum, dy_zhat_sum], dim=2) * norm.scale[:, None]
        directions = torch.stack([mean_u, mean_zhat_u], dim=1)
        return torch.baddbmm(rows.transpose(0, 1), sums.transpose(0, 1), directions, alpha=-1).transpose(0, 1)


class PerImageGradients(TorchFunctionMode):
    """Runs a network so that one backward pass of a sum over images yields every image's own gradient.

    For each weight of a convolution, linear layer or batch norm `take` gets the rows (N, elements): row i the gradient
    of image i's term. Batch norms use fixed statistics: in train mode the batch's, in eval mode the running ones.

    With `local_statistics` the rows get the part of the batch statistics' derivative that stays within a layer: for a
    convolution z = W u before a batch norm, s the positions of image i and E the mean over batch and positions,

        row_c = gamma_c / sigma_c (sum_s dy_cs u_s - (sum_s dy_cs) E[u] - (sum_s dy_cs zhat_cs) E[zhat_c u]).

    What changed statistics do to other layers' inputs is left out. Without batch norms in train mode all is exact.
    """

    def __init__(self, take: Callable[[Tensor], None], *, local_statistics: bool = False) -> None:
        super().__init__()
        self._take = take
        self._local_statistics = local_statistics
        self._uses: Counter[int] = Counter()
        self._rows: dict[int, Tensor] = {}
        self._handlers: dict[Callable[..., Any], Callable[..., Tensor]] = {
            torch.conv2d: self._convolution,
            F.linear: self._linear,
            F.batch_norm: self._batch_norm,
        }

    def finish(self) -> None:
        """After the backward pass: yields the rows of weights of which not every use reached the output."""
        for rows in self._rows.values():
            self._take(rows)

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if handler := self._handlers.get(func):
            return handler(*args, **(kwargs or {}))
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and any(isinstance(a, nn.Parameter) for a in args):
            name = getattr(func, "__name__", func)
            raise TypeError(f"no fast way for a layer that gives parameters to {name!r}: use mode='reference'")
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
        return self._watched(z, weight, call.rows)

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        inputs = x.detach().reshape(len(x), -1, x.shape[-1])
        y = F.linear(x, weight.detach(), _detached(bias))
        return self._watched(y, weight, lambda dy: dy.reshape(len(dy), -1, dy.shape[-1]).mT @ inputs)

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
        norm = _Norm(z, mean, inverse, inverse if gamma is None else gamma * inverse)
        if training and self._local_statistics and hasattr(x, "_convolution"):
            x._convolution.norms.append(norm)
        if not x.requires_grad:
            x.requires_grad_()
        rows = partial(self._add, id(weight)) if weight is not None else None
        self._uses[id(weight)] += 1
        return _FixedBatchNorm.apply(x, y, norm, rows)  # type: ignore[no-any-return, no-untyped-call]

    def _watched(self, y: Tensor, weight: Tensor, rows: Callable[[Tensor], Tensor]) -> Tensor:
        """`y`, whose gradient will become rows for this weight."""
        if not y.requires_grad:
            y.requires_grad_()
        key = id(weight)
        self._uses[key] += 1
        y.register_hook(lambda dy: self._add(key, rows(dy)))  # type: ignore[no-untyped-call]
        return y

    def _add(self, key: int, rows: Tensor) -> None:
        """Adds the rows of one use of a weight; with the last one they are complete."""
        rows = rows.flatten(1)
        self._uses[key] -= 1
        if key in self._rows:
            rows = rows + self._rows.pop(key)
        if self._uses[key]:
            self._rows[key] = rows
        else:
            self._take(rows)


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()
