"""Gradients of the training loss, computed without touching the ``.grad`` of the network."""

from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._proxy import Batch
from zenfront.pipeline.proxies._state import in_place, tensors_of


@dataclass(frozen=True)
class Weight:
    """Weight of a convolution or linear layer, with the gradient of the loss with respect to it."""

    value: Tensor
    gradient: Tensor


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


def loss_gradients(network: nn.Module, batch: Batch, *, as_published: bool = False) -> list[Weight]:
    """Compute the gradient of the mean cross-entropy for every convolution and linear layer, in the network's mode.

    Args:
        network: Network on the device of the batch.
        batch: Images and labels; the passes are computed in the dtype of the images.
        as_published: Keep the images in the contiguous memory format, so that rounding matches the published code.

    Returns:
        One `Weight` per layer.

    Raises:
        ScoreUndefined: The loss does not depend on any weight, or is not finite.
    """
    tensors = tensors_of(network, batch.images.dtype)
    weights = [tensors[name].requires_grad_() for name in weight_names(network)]
    images = batch.images.contiguous(memory_format=torch.contiguous_format if as_published else torch.channels_last)
    with torch.enable_grad(), nullcontext() if as_published else in_place(network):
        loss = F.cross_entropy(functional_call(network, tensors, (images,)), batch.labels)
        if not loss.requires_grad:
            raise ScoreUndefined("the loss does not depend on the weights")
        gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
    if not loss.isfinite():
        raise ScoreUndefined(f"the loss is {float(loss)}")
    if not any(gradient.any() for gradient in gradients):
        raise ScoreUndefined("the loss does not depend on the weights: all gradients are zero")
    return [Weight(weight.detach(), gradient) for weight, gradient in zip(weights, gradients, strict=True)]


def input_jacobian(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the gradient of the sum of all logits with respect to each image.

    Returns:
        The gradients (N, C H W), one row per image, and the logits (N, K).

    Raises:
        ScoreUndefined: The logits do not depend on an image, or a gradient is not finite.
    """
    leaf = images.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.enable_grad():
        logits: Tensor = functional_call(network, tensors_of(network, images.dtype), (leaf,))
        if not logits.requires_grad:
            raise ScoreUndefined("the logits do not depend on the images")
        (gradient,) = torch.autograd.grad(logits.sum(), leaf, materialize_grads=True)
    rows = gradient.flatten(1)
    if not rows.isfinite().all():
        raise ScoreUndefined("the gradient with respect to the images is not finite")
    if not rows.any(dim=1).all():
        raise ScoreUndefined("the logits do not depend on the images")
    return rows, logits.detach()
