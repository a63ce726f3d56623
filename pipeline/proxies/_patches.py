"""Sums over the patches that a 2-d convolution sees, by torch's own backward convolution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

Pair = int | Sequence[int]
SMALL = 256  # positions and channels of a group up to which the gradients of all images are fastest as one convolution
NARROW = 32


@dataclass(frozen=True)
class Patches:
    """How a convolution's weight (O, C / groups, k, k) meets its input: z_os = sum_d W_od u_ds.

    u_ds is element d of the patch at position s, (C / groups) k k elements for each group; below D for their number.
    """

    weight: Tensor
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int

    @staticmethod
    def of(weight: Tensor, stride: Pair, padding: Pair | str, dilation: Pair, groups: int) -> "Patches":
        """From the arguments of `torch.conv2d`."""
        dilation = _pair(dilation)
        if padding == "same":
            padding = [d * (k - 1) // 2 for d, k in zip(dilation, weight.shape[2:], strict=True)]
        elif isinstance(padding, str):
            padding = 0
        return Patches(_laid_out(weight), _pair(stride), _pair(padding), dilation, groups)

    def per_image(self, x: Tensor, dz: Tensor) -> Tensor:
        """sum_s dz_nos u_nds for every image: the weight's gradient, (N, O, D)."""
        if self.groups == 1 and tuple(self.weight.shape[2:]) == (1, 1) and self.padding == [0, 0]:
            seen = x[:, :, :: self.stride[0], :: self.stride[1]]
            return torch.bmm(dz.flatten(2), seen.flatten(2).mT)
        if x.shape[2] * x.shape[3] <= SMALL and self.weight.shape[1] <= NARROW:
            weight = _laid_out(self.weight.new_empty((len(x) * len(self.weight), *self.weight.shape[1:])))
            side_by_side = replace(self, weight=weight, groups=len(x) * self.groups)
            return side_by_side.summed(_one_image(x), _one_image(dz)).view(len(x), len(self.weight), -1)
        # Otherwise those convolutions, and batched products of unfolded patches, take up to 30 times as long.
        return torch.stack([self.summed(x[n : n + 1], dz[n : n + 1]) for n in range(len(x))])

    def summed(self, x: Tensor, dz: Tensor) -> Tensor:
        """sum_ns dz_nos u_nds: (O, D)."""
        return self.rows_of(self._backward(x, dz, [False, True, False])[1])

    def input_gradient(self, x: Tensor, dz: Tensor) -> Tensor:
        """sum_o W_od dz_nos, summed over the positions that see an element of x: of x's shape."""
        return self._backward(x, dz, [True, False, False])[0]

    def total(self, x: Tensor) -> Tensor:
        """sum_ns u_nds: (O, D), the same for all output channels of a group."""
        geometry = zip(x.shape[2:], self.weight.shape[2:], self.stride, self.padding, self.dilation, strict=True)
        rows, columns = (_seen(*side).to(x) for side in geometry)
        height, width, channels = x.shape[2], x.shape[3], x.shape[1]
        sums = x.permute(0, 2, 3, 1).sum(0).view(height, width * channels)
        sums = columns @ (rows @ sums).view(-1, width, channels)  # (k, k, C)
        patches = sums.view(*sums.shape[:2], self.groups, -1).permute(2, 0, 1, 3).flatten(1)
        return patches.repeat_interleave(len(self.weight) // self.groups, dim=0)

    def scaled(self, factors: Tensor) -> "Patches":
        """With each output channel's weight multiplied by its factor, (O,)."""
        return replace(self, weight=self.weight * factors[:, None, None, None])

    @staticmethod
    def rows_of(weight: Tensor) -> Tensor:
        """(O, C / groups, k, k) to (O, D), in the order of all that this class returns: channels last."""
        return weight.permute(0, 2, 3, 1).flatten(1)

    def _backward(self, x: Tensor, dz: Tensor, mask: list[bool]) -> tuple[Tensor, Tensor]:
        gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
            dz, x, self.weight, None, self.stride, self.padding, self.dilation, False, [0, 0], self.groups, mask
        )
        return gradients[:2]


@cache
def _seen(side: int, k: int, stride: int, padding: int, dilation: int) -> Tensor:
    """How often element j of the kernel sees an element of a row of the image: (k, side)."""
    steps = (side + 2 * padding - dilation * (k - 1) - 1) // stride + 1
    positions = torch.arange(steps) * stride + torch.arange(k)[:, None] * dilation - padding
    return (positions[:, :, None] == torch.arange(side)).sum(1)


def _laid_out(weight: Tensor) -> Tensor:
    """As convolutions are fastest. In float64 torch 2.13 errs on many groups with channels last."""
    return weight.contiguous(memory_format=torch.channels_last) if weight.dtype == torch.float32 else weight


def _one_image(x: Tensor) -> Tensor:
    """(N, C, H, W) to (1, N C, H, W), channels last."""
    return x.permute(2, 3, 0, 1).flatten(2).permute(2, 0, 1)[None]


def _pair(value: Pair) -> list[int]:
    return [value, value] if isinstance(value, int) else [*value] * (2 // len(value))
