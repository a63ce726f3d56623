"""Temporary changes to a network, which are undone on exit even if the score fails."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.spaces import Residual

BatchNorm = nn.modules.batchnorm._BatchNorm


@contextmanager
def borrowed(network: nn.Module, generator: torch.Generator, *, training: bool = True) -> Iterator[None]:
    """Put the network in train or eval mode for the duration of the context.

    In train mode, batch norms use the statistics of the batch and do not update their running statistics. Operations
    that draw from the global generators of PyTorch (dropout) are seeded from `generator`. Modes, buffers and global
    generators are restored on exit.

    Raises:
        ScoreUndefined: A batch norm receives a single value per channel.
    """
    modules = list(network.modules())
    other_mode = [module for module in modules if module.training != training]
    tracking = [m for m in modules if training and isinstance(m, BatchNorm) and m.track_running_stats]
    buffers = [(buffer, buffer.clone()) for module in modules for buffer in _buffers(module)]
    parameters = (parameter for module in modules for parameter in module._parameters.values())
    devices = {parameter.device for parameter in parameters if parameter is not None and parameter.is_cuda}
    with torch.random.fork_rng(devices, enabled=True):
        seed = _draw_seed(generator)
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed_all(seed)
        try:
            for module in other_mode:
                module.training = training
            for norm in tracking:
                _set(norm, track_running_stats=False)
            yield
        except ValueError as error:
            if "more than 1 value per channel" in str(error):
                raise ScoreUndefined(f"a batch norm cannot compute statistics: {error}") from error
            raise
        finally:
            for module in other_mode:
                module.training = not training
            for norm in tracking:
                _set(norm, track_running_stats=True)
            for buffer, saved in buffers:
                buffer.copy_(saved)


@contextmanager
def fresh_statistics(network: nn.Module, momentum: float, like: Tensor) -> Iterator[list[BatchNorm]]:
    """Give every batch norm temporary running statistics (mean 0, variance 1) that are updated with `momentum`.

    Use it inside `borrowed` in train mode. The statistics have the dtype and the device of `like`. The context yields
    the norms; read their ``running_var`` before leaving it.
    """
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    lent = [(norm, dict(norm._buffers), norm.momentum) for norm in norms]
    sizes = [norm.num_features for norm in norms]
    means = iter(torch.split(like.new_zeros(sum(sizes)), sizes))
    variances = iter(torch.split(like.new_ones(sum(sizes)), sizes))
    try:
        for norm in norms:
            norm._buffers |= {
                "running_mean": next(means),
                "running_var": next(variances),
                "num_batches_tracked": None,
            }
            _set(norm, momentum=momentum, track_running_stats=True)
        yield norms
    finally:
        for norm, buffers, old_momentum in lent:
            norm._buffers.update(buffers)
            _set(norm, momentum=old_momentum, track_running_stats=False)


def _set(norm: BatchNorm, **values: object) -> None:
    """Set plain attributes directly, which is 10× faster than through `nn.Module`."""
    norm.__dict__.update(values)


@contextmanager
def in_place(network: nn.Module) -> Iterator[None]:
    """Let ReLUs and residual sums overwrite their input where nothing else reads it.

    Allocating memory takes longer than these operations. This applies to ReLUs that follow a batch norm or a residual
    sum in a plain `nn.Sequential`, and to residual sums whose branch is a plain `nn.Sequential` that ends with a batch
    norm, which keeps its input, not its output, for the backward pass. A ReLU that is used more than once is left out.
    """
    if not getattr(network, "allows_in_place", True):
        yield
        return
    uses = Counter(module for _, module in network.named_modules(remove_duplicate=False))
    pairs = (pair for module in uses if type(module) is nn.Sequential for pair in pairwise(module))
    changed: list[nn.ReLU | Residual] = [
        relu
        for before, relu in pairs
        if isinstance(before, BatchNorm | Residual) and type(relu) is nn.ReLU and uses[relu] == 1 and not relu.inplace
    ]
    changed += [m for m in uses if isinstance(m, Residual) and _ends_with_norm(m.branch) and not m.inplace]
    for module in changed:
        module.inplace = True
    try:
        yield
    finally:
        for module in changed:
            module.inplace = False


def _ends_with_norm(branch: nn.Module) -> bool:
    return type(branch) is nn.Sequential and len(branch) > 0 and isinstance(branch[-1], BatchNorm)


def _buffers(module: nn.Module) -> list[Tensor]:
    """Return the buffers that a forward pass may change, except the running statistics that `borrowed` disables."""
    return [] if isinstance(module, BatchNorm) else [b for b in module._buffers.values() if b is not None]


def _draw_seed(generator: torch.Generator) -> int:
    """Return a seed; the number that a generator on a GPU draws is not read, since that would wait for the GPU."""
    drawn = torch.randint(2**62, (), generator=generator, device=generator.device)
    return int(drawn) if drawn.is_cpu else generator.initial_seed()


def gaussian(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Draw standard normal numbers in the dtype and on the device of `like`; the values are equal on every device."""
    return torch.randn(shape, generator=generator, device=generator.device).to(like)


def parameters_of(network: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the parameters in the given dtype by name, for `torch.func.functional_call`, detached from the network."""
    return {n: nn.Parameter(p.detach().to(dtype), requires_grad=False) for n, p in network.named_parameters()}


def tensors_of(network: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return parameters and buffers by name, for `torch.func.functional_call` with images of the given dtype."""
    buffers = {n: b.to(dtype) for n, b in network.named_buffers() if b.is_floating_point()}
    return {**parameters_of(network, dtype), **buffers}
