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
    """Batch normalisation whose mean and variance in training mode are those over all ranks."""

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
        y, count, mean, var = _Normalised.apply(input.float(), self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        if self.track_running_stats:
            self._track(mean, var * count / (count - 1))
        return y.to(input.dtype)  # type: ignore[no-any-return]

    def _track(self, mean: Tensor, var: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        part = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), part)
        self.running_var.lerp_(var.to(self.running_var.dtype), part)


class _Normalised(torch.autograd.Function):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, with one sum over the ranks in each direction.

    mean = sum_r n_r mean_r / n and var = sum_r n_r (var_r + mean_r^2) / n - mean^2, n = sum_r n_r, in float64. The
    gradient of x is that for constant mean and var, less weight / sqrt(var + eps) / n * (sum g + x^ sum g x^), where x^
    is the normalised x and the sums go over all ranks.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        own_mean, own_var = (each.double() for each in torch.batch_norm_update_stats(x, None, None, 0.0))
        own = torch.full((1,), x.numel() // x.shape[1], dtype=torch.float64, device=x.device)
        sums = torch.cat([own, own * own_mean, own * (own_var + own_mean**2)])
        distributed.all_reduce(sums)
        count, mean, square = torch.split(sums, [1, x.shape[1], x.shape[1]])
        mean, square = mean / count, square / count
        var = (square - mean**2).clamp(min=0)
        ctx.save_for_backward(x, weight, count, mean.float(), var.float())
        ctx.eps = eps
        ctx.mark_non_differentiable(count, mean, var)
        return torch.batch_norm(x, weight, bias, mean.float(), var.float(), False, 0.0, eps, False), count, mean, var

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        x, weight, count, mean, var = ctx.saved_tensors
        given = (gradient, x, weight, mean, var, None, None, False, ctx.eps, [True, True, True])
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(*given)
        sums = torch.cat([of_bias, of_weight]).double()
        distributed.all_reduce(sums)
        plain, normalised = (sums / count).float().chunk(2)
        scale = (var + ctx.eps).rsqrt()
        factor = scale if weight is None else scale * weight
        shape = [1, -1, *[1] * (x.ndim - 2)]
        of_x.addcmul_(x - mean.view(shape), (factor * scale * normalised).view(shape), value=-1)
        of_x.sub_((factor * plain).view(shape))
        return of_x, None if weight is None else of_weight, None if weight is None else of_bias, None
