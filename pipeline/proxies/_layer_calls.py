"""Calls of layers whose backward pass gives every image its own gradient."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from zenfront.pipeline.proxies._patches import Patches

Back = Callable[[Tensor, bool], Tensor | None]
SAMPLE = 16  # images that estimate the two expectations of `Convolution`, but for the first


class PrecomputedOutput(torch.autograd.Function):
    """An output that was computed before, with a backward pass of choice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, ys: list[Tensor], back: Back) -> Tensor:
        """The one output in `ys`; `anchor` makes it require a gradient."""
        ctx.back = back
        ctx.set_materialize_grads(False)
        return ys[0]  # in a list, it is no input and may be changed in place

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        """What `back` makes of the output's gradient; nothing comes of none."""
        return None if dy is None else ctx.back(dy, ctx.needs_input_grad[0]), None, None, None


@dataclass(eq=False)
class Norm:
    """A batch norm y = gamma zhat + beta, zhat = (z - mean) inverse, and what came back to it.

    Attributes:
        z: Its input (N, C, H, W).
        mean: Per channel.
        inverse: 1 / sqrt(variance + eps) per channel.
        gamma: Per channel.
        take_rows: Gets the gradient of gamma.
        corrects: Whether the convolution's rows get the derivative of this norm's statistics.
        hands_on: Whether `back` leaves the gradient of y to the convolution that gave z.
        dy_sum: sum_s dy_ncs, (N, C); None until the backward pass has come here.
        dy_zhat_sum: sum_s dy_ncs zhat_ncs, (N, C).
    """

    z: Tensor
    mean: Tensor
    inverse: Tensor
    gamma: Tensor
    take_rows: Callable[[Tensor], None]
    corrects: bool
    hands_on: bool = False
    dy_sum: Tensor | None = None
    dy_zhat_sum: Tensor | None = None

    @property
    def scale(self) -> Tensor:
        """The derivative dy / dz per channel, with the statistics held fixed."""
        return self.gamma * self.inverse

    def back(self, dy: Tensor, goes_on: bool) -> Tensor:
        """The gradient of z, every image for itself: the statistics are constants."""
        self.dy_sum = dy.sum((2, 3))
        if self.hands_on:
            return dy  # the convolution scales smaller tensors instead, and knows sum_s dy_ncs z_ncs from its rows
        product = dy * self.z
        self.take(self.dy_sum, product.sum((2, 3)))
        return torch.mul(dy, self.scale[:, None, None], out=product)

    def take(self, dy_sum: Tensor, dy_z_sum: Tensor) -> None:
        """Takes sum_s dy_ncs and sum_s dy_ncs z_ncs, (N, C)."""
        self.dy_zhat_sum = (dy_z_sum - self.mean * dy_sum) * self.inverse
        self.take_rows(self.dy_zhat_sum.clone())

    def back_together(self, dy: Tensor, goes_on: bool, takes: bool = True) -> Tensor:
        """The gradient of z of the batch's sum: the statistics depend on z."""
        dz, dgamma, _ = torch.ops.aten.native_batch_norm_backward(
            dy, self.z, self.gamma, None, None, self.mean, self.inverse, True, 0.0, [True, takes, False]
        )
        if takes:
            self.take_rows(dgamma[None])
        gradient: Tensor = dz
        return gradient

    def through_statistics(self, direction: Tensor) -> Tensor | None:
        """What the statistics add to the gradient of z of sum_n direction_n (image n's term), if `back` was here.

        dz_ncs = -scale_c sum_m direction_m (dy_sum_mc + zhat_ncs dy_zhat_sum_mc) / (N S).
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
        x: Its input.
        patches: Its weight and geometry.
        bias: b.
        take_rows: Gets the gradient of W.
        norms: The batch norms that took z.
        goes_elsewhere: Whether something else than batch norms took z.
        sample: How many images estimate the two expectations.
    """

    x: Tensor
    patches: Patches
    bias: Tensor | None
    take_rows: Callable[[Tensor], None]
    norms: list[Norm] = field(default_factory=list)
    goes_elsewhere: bool = False
    sample: int = SAMPLE

    def settle(self) -> None:
        """After the forward pass: where a batch norm takes z and nothing else does, it hands its gradient on."""
        if len(self.norms) == 1 and not self.goes_elsewhere:
            self.norms[0].hands_on = True

    def back(self, dz: Tensor, goes_on: bool) -> Tensor | None:
        """The gradient of x, if the backward pass goes on, every image for itself.

        Where the norm hands on, `dz` is the gradient of the norm's output.
        """
        rows, patches = self.patches.per_image(self.x, dz), self.patches
        for norm in self.norms:
            if not norm.hands_on:
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
        return patches.input_gradient(self.x, dz) if goes_on else None

    def back_together(self, dz: Tensor, goes_on: bool, takes: bool = True) -> Tensor | None:
        """The gradient of x of the batch's sum."""
        if takes:
            self.take_rows(self.patches.summed(self.x, dz)[None])
        return self.patches.input_gradient(self.x, dz) if goes_on else None

    def _correct(self, rows: Tensor, norm: Norm) -> None:
        """Takes from the rows the two directions that the batch's mean and variance cancel."""
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
        x: Its input (N, ..., D).
        weight: (O, D).
        take_rows: Gets the gradient of the weight.
    """

    x: Tensor
    weight: Tensor
    take_rows: Callable[[Tensor], None]

    def back(self, dy: Tensor, goes_on: bool) -> Tensor | None:
        """The gradient of x, if the backward pass goes on, every image for itself."""
        self.take_rows(self._rows(dy))
        return dy @ self.weight if goes_on else None

    def back_together(self, dy: Tensor, goes_on: bool, takes: bool = True) -> Tensor | None:
        """The gradient of x of the batch's sum."""
        if takes:
            self.take_rows(self._rows(dy).sum(0, keepdim=True))
        return dy @ self.weight if goes_on else None

    def _rows(self, dy: Tensor) -> Tensor:
        return dy.reshape(len(dy), -1, dy.shape[-1]).mT @ self.x.reshape(len(dy), -1, self.x.shape[-1])
