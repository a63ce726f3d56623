"""Layer calls whose backward pass computes a separate gradient for every image."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from zenfront.pipeline.proxies._patches import Patches

Back = Callable[[Tensor, bool], Tensor | None]
SAMPLE = 16  # images from which a convolution other than the first estimates its two expectations


class PrecomputedOutput(torch.autograd.Function):
    """Autograd function that returns a precomputed output and runs a custom backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, ys: list[Tensor], back: Back) -> Tensor:
        """Return the only tensor in `ys`; `anchor` makes it require a gradient."""
        ctx.back = back
        ctx.set_materialize_grads(False)
        return ys[0]  # inside a list it is not an autograd input, so it may be modified in place

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        """Apply `back` to the gradient of the output, or return None if there is no gradient."""
        return None if dy is None else ctx.back(dy, ctx.needs_input_grad[0]), None, None, None


@dataclass(eq=False)
class Norm:
    """One call of a batch norm y = gamma zhat + beta with zhat = (z - mean) inverse, and the gradients it received.

    Attributes:
        z: Input (N, C, H, W).
        mean: Mean per channel, (C,).
        inverse: 1 / sqrt(variance + eps) per channel, (C,).
        gamma: Scale per channel, (C,).
        take_rows: Callback that receives the gradient of gamma.
        corrects: Whether the rows of the convolution include the derivative of the statistics of this norm.
        passes_on: Whether `back` passes the gradient of y unchanged to the convolution that computed z.
        dy_sum: sum_s dy_ncs, (N, C); None before the backward pass reaches the norm.
        dy_zhat_sum: sum_s dy_ncs zhat_ncs, (N, C); None before the sums are known.
    """

    z: Tensor
    mean: Tensor
    inverse: Tensor
    gamma: Tensor
    take_rows: Callable[[Tensor], None]
    corrects: bool
    passes_on: bool = False
    dy_sum: Tensor | None = None
    dy_zhat_sum: Tensor | None = None

    @cached_property
    def scale(self) -> Tensor:
        """Derivative dy / dz per channel with the statistics held fixed, (C,)."""
        return self.gamma * self.inverse

    def back(self, dy: Tensor, needs_input: bool) -> Tensor:
        """Compute the gradient with respect to z separately for every image, with the statistics held fixed."""
        self.dy_sum = dy.sum((2, 3))
        if self.passes_on:
            return dy  # the convolution scales smaller tensors instead and derives sum_s dy_ncs z_ncs from its rows
        product = dy * self.z
        self.take(self.dy_sum, product.sum((2, 3)))
        return torch.mul(dy, self.scale[:, None, None], out=product)

    def take(self, dy_sum: Tensor, dy_z_sum: Tensor) -> None:
        """Store the sums over positions, given sum_s dy_ncs and sum_s dy_ncs z_ncs, (N, C)."""
        self.dy_zhat_sum = (dy_z_sum - self.mean * dy_sum) * self.inverse
        self.take_rows(self.dy_zhat_sum.clone())

    def back_batch(self, dy: Tensor, needs_input: bool, collect: bool = True) -> Tensor:
        """Compute the gradient of the batch sum with respect to z, including the dependence of the statistics on z."""
        dz, dgamma, _ = torch.ops.aten.native_batch_norm_backward(
            dy, self.z, self.gamma, None, None, self.mean, self.inverse, True, 0.0, [True, collect, False]
        )
        if collect:
            self.take_rows(dgamma[None])
        gradient: Tensor = dz
        return gradient

    def through_statistics(self, direction: Tensor) -> Tensor | None:
        """Compute the part of the gradient with respect to z that flows through the statistics.

        For the sum over n of direction_n times the term of image n, this part is
        dz_ncs = -scale_c sum_m direction_m (dy_sum_mc + zhat_ncs dy_zhat_sum_mc) / (N S).

        Returns:
            dz (N, C, H, W), or None if `back` has not been called.
        """
        if self.dy_sum is None or self.dy_zhat_sum is None:
            return None
        factor = -self.scale * self.z.shape[1] / self.z.numel()
        slope = factor * (direction @ self.dy_zhat_sum) * self.inverse
        offset = factor * (direction @ self.dy_sum) - slope * self.mean
        return torch.addcmul(offset[:, None, None], self.z, slope[:, None, None])


@dataclass(eq=False)
class Convolution:
    """One call of a convolution z = W u + b.

    Attributes:
        x: Input (N, C, H, W).
        patches: Weight and geometry.
        bias: Bias b, (O,).
        take_rows: Callback that receives the gradient of W.
        norms: Batch norms whose input is z.
        used_elsewhere: Whether anything other than a batch norm uses z.
        sample: Number of images from which the two expectations are estimated.
    """

    x: Tensor
    patches: Patches
    bias: Tensor | None
    take_rows: Callable[[Tensor], None]
    norms: list[Norm] = field(default_factory=list)
    used_elsewhere: bool = False
    sample: int = SAMPLE

    def choose_path(self) -> None:
        """Choose after the forward pass whether a norm passes its gradient on, which it does if nothing else uses z."""
        if len(self.norms) == 1 and not self.used_elsewhere:
            self.norms[0].passes_on = True

    def back(self, dz: Tensor, needs_input: bool) -> Tensor | None:
        """Compute the gradient with respect to x separately for every image, if it is needed.

        `dz` is the gradient of the output of the norm if the norm passes its gradient on.
        """
        rows, patches = self.patches.per_image(self.x, dz), self.patches
        for norm in self.norms:
            if not norm.passes_on:
                continue
            dy_sum = norm.dy_sum
            assert dy_sum is not None
            dy_z_sum = torch.bmm(rows.transpose(0, 1), patches.rows_of(patches.weight)[:, :, None])[:, :, 0].T
            norm.take(dy_sum, dy_z_sum if self.bias is None else dy_z_sum + self.bias * dy_sum)
            rows *= norm.scale[:, None]
            patches = patches.scaled(norm.scale)
        for norm in self.norms:
            if norm.corrects:
                self._correct(rows, norm)
        self.take_rows(rows)
        return patches.input_gradient(self.x, dz) if needs_input else None

    def back_batch(self, dz: Tensor, needs_input: bool, collect: bool = True) -> Tensor | None:
        """Compute the gradient of the batch sum with respect to x, if it is needed."""
        if collect:
            self.take_rows(self.patches.summed(self.x, dz)[None])
        return self.patches.input_gradient(self.x, dz) if needs_input else None

    def _correct(self, rows: Tensor, norm: Norm) -> None:
        """Remove from the rows the two directions that the mean and the variance of the batch cancel."""
        if norm.dy_sum is None or norm.dy_zhat_sum is None:
            return
        x, z = self.x[: self.sample], norm.z[: self.sample]
        count = z.numel() // z.shape[1]
        mean_u = self.patches.total(x) / count
        mean_zu = self.patches.summed(x, z) / count
        mean_zhat_u = (mean_zu - z.mean((0, 2, 3))[:, None] * mean_u) * norm.inverse[:, None]
        for sums, direction in ((norm.dy_sum, mean_u), (norm.dy_zhat_sum, mean_zhat_u)):
            rows.addcmul_((sums * norm.scale)[:, :, None], direction, value=-1)


@dataclass(eq=False)
class Linear:
    """One call of a linear layer.

    Attributes:
        x: Input (N, ..., D).
        weight: Weight (O, D).
        take_rows: Callback that receives the gradient of the weight.
    """

    x: Tensor
    weight: Tensor
    take_rows: Callable[[Tensor], None]

    def back(self, dy: Tensor, needs_input: bool) -> Tensor | None:
        """Compute the gradient with respect to x separately for every image, if it is needed."""
        self.take_rows(self._rows(dy))
        return dy @ self.weight if needs_input else None

    def back_batch(self, dy: Tensor, needs_input: bool, collect: bool = True) -> Tensor | None:
        """Compute the gradient of the batch sum with respect to x, if it is needed."""
        if collect:
            self.take_rows(self._rows(dy).sum(0, keepdim=True))
        return dy @ self.weight if needs_input else None

    def _rows(self, dy: Tensor) -> Tensor:
        return dy.reshape(len(dy), -1, dy.shape[-1]).mT @ self.x.reshape(len(dy), -1, self.x.shape[-1])
