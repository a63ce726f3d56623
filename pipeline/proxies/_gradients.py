"""Gradients of the training loss, computed without touching the ``.grad`` of the network."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._host import to_host
from zenfront.pipeline.proxies._proxy import Batch
from zenfront.pipeline.proxies._state import in_place, tensors_of


@dataclass(frozen=True)
class Weight:
    """Weight of a convolution or linear layer, with the gradient of the loss with respect to it."""

    value: Tensor
    gradient: Tensor


@dataclass(frozen=True)
class LossGradients:
    """Loss of a mini-batch and its gradients, on the device: whether they are defined is not known before `check`.

    Attributes:
        loss: Mean cross-entropy, a scalar.
        weights: Weights of all convolutions and linear layers.
    """

    loss: Tensor
    weights: Sequence[Weight]

    @property
    def flags(self) -> Tensor:
        """Values that `check` looks at, (2,): the loss, and whether a gradient of the last layer differs from zero."""
        return torch.stack([self.loss, self.weights[-1].gradient.any().to(self.loss)])

    def check(self, flags: Tensor) -> None:
        """Look at the flags, on the CPU.

        Raises:
            ScoreUndefined: The loss does not depend on any weight, or is not finite.
        """
        loss, last = flags.tolist()
        check_loss(loss, bool(last) or any(bool(weight.gradient.any()) for weight in self.weights))

    def products(self) -> Sequence[Tensor]:
        """Compute the product of each weight with its gradient, element by element."""
        values, gradients = ([getattr(weight, name) for weight in self.weights] for name in ("value", "gradient"))
        return torch._foreach_mul(values, gradients)

    def read(self, scalars: Sequence[Tensor]) -> list[float]:
        """Check, and return the values of scalars of one dtype; the device is waited for once."""
        flags, values = to_host(self.flags, torch.stack(list(scalars)))
        self.check(flags)
        result: list[float] = values.tolist()
        return result


def check_loss(loss: float, depends: bool) -> None:
    """Check a loss.

    Args:
        loss: The loss.
        depends: Whether a gradient differs from zero.

    Raises:
        ScoreUndefined: The loss does not depend on any weight, or is not finite.
    """
    if not math.isfinite(loss):
        raise ScoreUndefined(f"the loss is {loss}")
    if not depends:
        raise ScoreUndefined("the loss does not depend on the weights: all gradients are zero")


def weight_names(network: nn.Module) -> list[str]:
    """Return the names of the weights of all convolutions and linear layers.

    Raises:
        ScoreUndefined: The network has neither a convolution nor a linear layer.
    """
    layers = (nn.modules.conv._ConvNd, nn.Linear)
    names = [f"{name}.weight" for name, module in network.named_modules() if isinstance(module, layers)]
    if not names:
        raise ScoreUndefined("the network has neither a convolution nor a linear layer")
    return names


def loss_gradients(network: nn.Module, batch: Batch, *, as_published: bool = False) -> LossGradients:
    """Compute the gradient of the mean cross-entropy for every convolution and linear layer, in the network's mode.

    Args:
        network: Network on the device of the batch.
        batch: Images and labels; the passes are computed in the dtype of the images.
        as_published: Keep the images in the contiguous memory format, so that rounding matches the published code.

    Raises:
        ScoreUndefined: No weight leads to the loss.
    """
    tensors = tensors_of(network, batch.images.dtype)
    weights = [tensors[name].requires_grad_() for name in weight_names(network)]
    images = batch.images.contiguous(memory_format=torch.contiguous_format if as_published else torch.channels_last)
    with torch.enable_grad(), nullcontext() if as_published else in_place(network):
        loss = F.cross_entropy(functional_call(network, tensors, (images,)), batch.labels)
        if not loss.requires_grad:
            raise ScoreUndefined("the loss does not depend on the weights")
        gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
    pairs = [Weight(weight.detach(), gradient) for weight, gradient in zip(weights, gradients, strict=True)]
    return LossGradients(loss.detach(), pairs)


def input_jacobian(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the gradient of the sum of all logits with respect to each image.

    Returns:
        The gradients (N, C H W), one row per image, to be looked at by `check_rows`, and the logits (N, K).

    Raises:
        ScoreUndefined: The logits do not depend on the images.
    """
    leaf = images.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.enable_grad():
        logits: Tensor = functional_call(network, tensors_of(network, images.dtype), (leaf,))
        if not logits.requires_grad:
            raise ScoreUndefined("the logits do not depend on the images")
        (gradient,) = torch.autograd.grad(logits.sum(), leaf, materialize_grads=True)
    return gradient.flatten(1), logits.detach()


def correlation_of(rows: Tensor) -> Tensor:
    """Compute the correlation matrix of the rows, as `torch.corrcoef` does, which waits for the device."""
    centred = rows - rows.mean(1, keepdim=True)
    covariance = centred @ centred.T / (rows.shape[1] - 1)
    deviation = covariance.diag().sqrt()
    return (covariance / deviation[:, None] / deviation).clamp(-1, 1)


def flags_of(rows: Tensor) -> Tensor:
    """Return what `check_rows` looks at, (2,): whether the rows are finite, and whether none is zero."""
    return torch.stack([rows.isfinite().all(), rows.any(dim=1).all()])


def check_rows(flags: Tensor) -> None:
    """Look at the flags of the rows of `input_jacobian`, on the CPU.

    Raises:
        ScoreUndefined: The logits do not depend on an image, or a gradient is not finite.
    """
    finite, depends = flags.tolist()
    if not finite:
        raise ScoreUndefined("the gradient with respect to the images is not finite")
    if not depends:
        raise ScoreUndefined("the logits do not depend on the images")
