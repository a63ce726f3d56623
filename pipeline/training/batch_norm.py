"""Batch normalisation over the whole mini-batch when several ranks share it."""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


def synchronise(network: nn.Module, device: torch.device) -> None:
    """Let the batch normalisation of a network use the mini-batch of all ranks, in training mode.

    The layers are replaced in place, with their parameters and buffers, so the names in a state stay the same.
    `torch.nn.SyncBatchNorm` does it on GPUs, and takes no tensors of the CPU.
    """
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, SynchronisedBatchNorm.of(child))


class SynchronisedBatchNorm(_BatchNorm):
    """Batch normalisation whose mean and variance in training mode are those over all ranks.

    mean = sum_r n_r mean_r / n and var = sum_r n_r (var_r + mean_r^2) / n - mean^2, n = sum_r n_r, in float64.
    """

    @staticmethod
    def of(layer: _BatchNorm) -> "SynchronisedBatchNorm":
        """Return the layer with the parameters and buffers of another one."""
        given = (layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        made = SynchronisedBatchNorm(*given, device="meta")
        for tensors in ("_parameters", "_buffers"):
            getattr(made, tensors).update(getattr(layer, tensors))
        return made.train(layer.training)

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept any number of dimensions."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, ...) over all dimensions but C, and over the ranks."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        count, mean, var = self._moments(x)
        if self.running_mean is not None and self.running_var is not None:
            self._track(mean.detach(), (var * count / (count - 1)).detach())
        shape = [1, -1, *[1] * (x.ndim - 2)]
        scale = (var + self.eps).rsqrt().float()
        scale = scale if self.weight is None else scale * self.weight
        normalised = (x - mean.float().view(shape)) * scale.view(shape)
        return (normalised if self.bias is None else normalised + self.bias.view(shape)).to(input.dtype)

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the number of values in a channel, their mean (C,) and variance (C,) over all ranks, in float64."""
        own_var, own_mean = (moment.double() for moment in torch.var_mean(x, [0, *range(2, x.ndim)], correction=0))
        own = torch.full((1,), x.numel() // x.shape[1], dtype=torch.float64, device=x.device)
        sums = torch.cat([own, own * own_mean, own * (own_var + own_mean**2)])
        count, mean, square = _SumOverRanks.apply(sums).split([1, len(own_mean), len(own_mean)])  # type: ignore[no-untyped-call]
        mean, square = mean / count, square / count
        return count, mean, (square - mean**2).clamp(min=0)

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        part = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), part)
        self.running_var.lerp_(var.to(self.running_var.dtype), part)


class _SumOverRanks(torch.autograd.Function):
    """Sum of a tensor over the ranks; its gradient is the sum of those of all ranks."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total
