"""Sums over the patches that a 2-d convolution sees, by torch's own backward convolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Pair = int | Sequence[int]


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
        return Patches(weight, _pair(stride), _pair(padding), dilation, groups)

    def per_image(self, x: Tensor, dz: Tensor) -> Tensor:
        """sum_s dz_nos u_nds for every image: the weight's gradient, (N, O, D)."""
        if self.groups == 1 and tuple(self.weight.shape[2:]) == (1, 1) and self.padding == [0, 0]:
            seen = x[:, :, :: self.stride[0], :: self.stride[1]]
            return torch.bmm(dz.flatten(2), seen.flatten(2).mT)
        # A loop over single images: a grouped or a batched product of unfolded patches takes 2 to 70 times as long.
        return torch.stack([self.summed(x[n : n + 1], dz[n : n + 1]) for n in range(len(x))])

    def summed(self, x: Tensor, dz: Tensor) -> Tensor:
        """sum_ns dz_nos u_nds: (O, D)."""
        return self._gradient(x, dz, self.weight)

    def total(self, x: Tensor) -> Tensor:
        """sum_ns u_nds: (O, D), the same for all output channels of a group."""
        outputs, group = len(self.weight), len(self.weight) // self.groups
        sides = [
            (side + 2 * p - d * (k - 1) - 1) // s + 1
            for side, k, s, p, d in zip(
                x.shape[2:], self.weight.shape[2:], self.stride, self.padding, self.dilation, strict=True
            )
        ]
        ones = x.new_ones((1, self.groups, *sides)).expand(len(x), -1, -1, -1)
        return self._gradient(x, ones, self.weight[: self.groups]).repeat_interleave(group, dim=0)[:outputs]

    def _gradient(self, x: Tensor, dz: Tensor, weight: Tensor) -> Tensor:
        mask = [False, True, False]
        gradient: Tensor = torch.ops.aten.convolution_backward(
            dz, x, weight, None, self.stride, self.padding, self.dilation, False, [0, 0], self.groups, mask
        )[1]
        return gradient.flatten(1)


def _pair(value: Pair) -> list[int]:
    return [value, value] if isinstance(value, int) else [*value] * (2 // len(value))
