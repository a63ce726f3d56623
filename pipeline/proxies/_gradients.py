"""Gradients of the training loss, apart from the network's own ``.grad``."""

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
    """The weight of a convolution or linear layer, and the gradient of the loss with respect to it."""

    value: Tensor
    gradient: Tensor


def weight_names(network: nn.Module) -> list[str]:
    """The names of the weights of all convolutions and linear layers.

    Raises:
        ScoreUndefined: There are none.
    """
    layers = (nn.modules.conv._ConvNd, nn.Linear)
    names = [f"{name}.weight" for name, module in network.named_modules() if isinstance(module, layers)]
    if not names:
        raise ScoreUndefined("there is neither a convolution nor a linear layer")
    return names


def loss_gradients(network: nn.Module, batch: Batch, *, as_published: bool = False) -> list[Weight]:
    """The weights with the gradients of the mean cross-entropy, (layers); in the mode that the network is in.

    Args:
        network: On the device of the batch.
        batch: Images, whose type the passes have, and labels.
        as_published: Rounds like the published code, which keeps the channels of an image apart in memory.

    Raises:
        ScoreUndefined: The loss does not depend on any of them, or is not finite.
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
        raise ScoreUndefined("the loss does not depend on the weights: all gradients vanish")
    return [Weight(weight.detach(), gradient) for weight, gradient in zip(weights, gradients, strict=True)]


def input_jacobian(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the sum of all logits with respect to each image, one row an image, (N, C H W); and the logits.

    Raises:
        ScoreUndefined: The logits do not depend on the images.
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
