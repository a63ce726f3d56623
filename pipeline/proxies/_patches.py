"""Sums over the input patches of a 2-d convolution, computed by PyTorch's backward pass of the convolution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = int | Sequence[int]
# Up to these sizes one grouped convolution is the fastest way to compute the gradients of all images.
SMALL = 256  # positions of the input
NARROW = 32  # channels per group
UNFOLDED = 2**28  # elements of the patches that a GPU unfolds, 1 GiB in float32


@dataclass(frozen=True)
class Patches:
    """Weight (O, C / groups, k, k) and geometry of a convolution z_os = sum_d W_od u_ds.

    u_ds is element d of the patch at position s. A patch has D = (C / groups) k k elements for each group.
    """

    weight: Tensor
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int

    @staticmethod
    def of(weight: Tensor, stride: Pair, padding: Pair | str, dilation: Pair, groups: int) -> "Patches":
        """Create an instance from the arguments of `torch.conv2d`."""
        dilation = _pair(dilation)
        if padding == "same":
            padding = [d * (k - 1) // 2 for d, k in zip(dilation, weight.shape[2:], strict=True)]
        elif isinstance(padding, str):
            padding = 0
        return Patches(_to_fast_format(weight), _pair(stride), _pair(padding), dilation, groups)

    def per_image(self, x: Tensor, dz: Tensor) -> Tensor:
        """Compute the gradient of the weight for every image, sum_s dz_nos u_nds, (N, O, D)."""
        if self.groups == 1 and tuple(self.weight.shape[2:]) == (1, 1) and self.padding == [0, 0]:
            seen = x[:, :, :: self.stride[0], :: self.stride[1]]
            return torch.bmm(dz.flatten(2), seen.flatten(2).mT)
        if x.shape[2] * x.shape[3] <= SMALL and self.weight.shape[1] <= NARROW:
            weight = _to_fast_format(self.weight.new_empty((len(x) * len(self.weight), *self.weight.shape[1:])))
            side_by_side = replace(self, weight=weight, groups=len(x) * self.groups)
            return side_by_side.summed(_merge_images(x), _merge_images(dz)).view(len(x), len(self.weight), -1)
        elements = len(x) * x.shape[1] * self.weight[0, 0].numel() * dz.shape[2] * dz.shape[3]
        if _launches_cost(x) and elements <= UNFOLDED:
            return self._per_image_unfolded(x, dz)
        # On a CPU the grouped convolution and batched products of unfolded patches are up to 30× slower.
        return torch.stack([self.summed(x[n : n + 1], dz[n : n + 1]) for n in range(len(x))])

    def _per_image_unfolded(self, x: Tensor, dz: Tensor) -> Tensor:
        """Compute the same by one batched product of all patches, which takes four kernels for any number of images."""
        height, width = self.padding
        patches = F.pad(x, (width, width, height, height))
        for dim, k, stride, dilation in zip((2, 3), self.weight.shape[2:], self.stride, self.dilation, strict=True):
            patches = patches.unfold(dim, dilation * (k - 1) + 1, stride)[..., ::dilation]
        by_group = torch.unflatten(patches, 1, (self.groups, -1)).permute(
            0, 1, 3, 4, 5, 6, 2
        )  # (N, groups, H', W', k, k, C)
        columns = by_group.reshape(len(x) * self.groups, dz.shape[2] * dz.shape[3], -1)
        rows = dz.reshape(len(columns), -1, columns.shape[1])
        return torch.bmm(rows, columns).view(len(x), len(self.weight), -1)

    def summed(self, x: Tensor, dz: Tensor) -> Tensor:
        """Compute the gradient of the weight summed over the images, sum_ns dz_nos u_nds, (O, D)."""
        return self.rows_of(self._backward(x, dz, [False, True, False])[1])

    def input_gradient(self, x: Tensor, dz: Tensor) -> Tensor:
        """Compute the gradient of x: sum_o W_od dz_nos, summed over the positions whose patch contains the element."""
        return self._backward(x, dz, [True, False, False])[0]

    def total(self, x: Tensor) -> Tensor:
        """Compute the sum of all patches, sum_ns u_nds, (O, D), which is equal for all output channels of a group."""
        geometry = zip(x.shape[2:], self.weight.shape[2:], self.stride, self.padding, self.dilation, strict=True)
        rows, columns = (_count_reads(*side, x.dtype, x.device) for side in geometry)
        height, width, channels = x.shape[2], x.shape[3], x.shape[1]
        sums = x.permute(0, 2, 3, 1).sum(0).view(height, width * channels)
        sums = columns @ (rows @ sums).view(-1, width, channels)  # (k, k, C)
        patches = sums.view(*sums.shape[:2], self.groups, -1).permute(2, 0, 1, 3).flatten(1)
        return patches.repeat_interleave(len(self.weight) // self.groups, dim=0)

    def scaled(self, factors: Tensor) -> "Patches":
        """Return a copy in which the weight of each output channel is multiplied by its factor, (O,)."""
        return replace(self, weight=self.weight * factors[:, None, None, None])

    @staticmethod
    def rows_of(weight: Tensor) -> Tensor:
        """Reshape (O, C / groups, k, k) to (O, D) with channels last, the order of all results of this class."""
        return weight.permute(0, 2, 3, 1).flatten(1)

    def _backward(self, x: Tensor, dz: Tensor, mask: list[bool]) -> tuple[Tensor, Tensor]:
        gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
            dz, x, self.weight, None, self.stride, self.padding, self.dilation, False, [0, 0], self.groups, mask
        )
        return gradients[:2]


@cache
def _count_reads(
    side: int, k: int, stride: int, padding: int, dilation: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Count how often each element of the kernel reads each element of an image row, (k, side), once for a device."""
    steps = (side + 2 * padding - dilation * (k - 1) - 1) // stride + 1
    positions = torch.arange(steps) * stride + torch.arange(k)[:, None] * dilation - padding
    return (positions[:, :, None] == torch.arange(side)).sum(1).to(device, dtype)


def _launches_cost(x: Tensor) -> bool:
    """Return whether many small calls take longer than one that moves more memory, as on a GPU."""
    return x.is_cuda


def _to_fast_format(weight: Tensor) -> Tensor:
    """Convert to the memory format in which convolutions are fastest.

    float64 weights keep theirs, because PyTorch 2.13 mishandles many groups in float64 with channels last.
    """
    return weight.contiguous(memory_format=torch.channels_last) if weight.dtype == torch.float32 else weight


def _merge_images(x: Tensor) -> Tensor:
    """Reshape (N, C, H, W) to (1, N C, H, W) with channels last."""
    return x.permute(2, 3, 0, 1).flatten(2).permute(2, 0, 1)[None]


def _pair(value: Pair) -> list[int]:
    return [value, value] if isinstance(value, int) else [*value] * (2 // len(value))
