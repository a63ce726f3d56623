"""Borrowing a network: whatever a score changes is put back, also when it fails."""

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
    """The network in train or eval mode, with its batch norms blind to history.

    In train mode batch norms use the statistics of the batch and leave their running ones alone. What draws from
    torch's global generators (dropout) is seeded from `generator`. Modes, buffers and global generators are put back.

    Raises:
        ScoreUndefined: A batch norm sees a single value per channel.
    """
    modules = list(network.modules())
    other_mode = [module for module in modules if module.training != training]
    tracking = [m for m in modules if training and isinstance(m, BatchNorm) and m.track_running_stats]
    buffers = [(buffer, buffer.clone()) for module in modules for buffer in _buffers(module)]
    parameters = (parameter for module in modules for parameter in module._parameters.values())
    devices = {parameter.device for parameter in parameters if parameter is not None and parameter.is_cuda}
    with torch.random.fork_rng(devices, enabled=True):
        torch.default_generator.manual_seed(_draw_seed(generator))
        try:
            for module in other_mode:
                module.training = training
            for norm in tracking:
                _set(norm, track_running_stats=False)
            yield
        except ValueError as error:
            if "more than 1 value per channel" in str(error):
                raise ScoreUndefined(f"a batch norm has no statistics: {error}") from error
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
    """Lends every batch norm new running statistics (mean 0, variance 1), updated with `momentum`, of `like`'s type.

    Inside `borrowed` and in train mode. Yields the norms; read their ``running_var`` before leaving.
    """
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    lent = [(norm, dict(norm._buffers), norm.momentum) for norm in norms]
    try:
        for norm in norms:
            norm._buffers["running_mean"] = torch.zeros(norm.num_features, dtype=like.dtype, device=like.device)
            norm._buffers["running_var"] = torch.ones(norm.num_features, dtype=like.dtype, device=like.device)
            norm._buffers["num_batches_tracked"] = None
            _set(norm, momentum=momentum, track_running_stats=True)
        yield norms
    finally:
        for norm, buffers, old_momentum in lent:
            norm._buffers.update(buffers)
            _set(norm, momentum=old_momentum, track_running_stats=False)


def _set(norm: BatchNorm, **values: object) -> None:
    """Sets plain attributes, for which `nn.Module` takes ten times as long."""
    norm.__dict__.update(values)


@contextmanager
def in_place(network: nn.Module) -> Iterator[None]:
    """ReLUs and shortcuts' sums overwrite their input where nothing else reads it: fresh memory costs more than they.

    That is so of ReLUs behind a batch norm or a shortcut's sum in a plain `nn.Sequential`, and of sums whose branch is
    one that ends with a batch norm, which keeps its input for the backward pass. A ReLU used twice is left alone.
    """
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
    """What a forward pass may change, other than the running statistics that `borrowed` switches off."""
    return [] if isinstance(module, BatchNorm) else [b for b in module._buffers.values() if b is not None]


def _draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


def gaussian(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Standard normal numbers of the device and type of `like`; the same on every device."""
    return torch.randn(shape, generator=generator, device=generator.device).to(like)


def parameters_of(network: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Its parameters by name, for `torch.func.functional_call`: of a type, apart from its own gradients."""
    return {n: nn.Parameter(p.detach().to(dtype), requires_grad=False) for n, p in network.named_parameters()}


def tensors_of(network: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Its parameters and buffers, for `torch.func.functional_call` with images of that type."""
    buffers = {n: b.to(dtype) for n, b in network.named_buffers() if b.is_floating_point()}
    return {**parameters_of(network, dtype), **buffers}
