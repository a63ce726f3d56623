"""GraSP: effect of removing a weight on the norm of the gradient."""

import torch
import torch.nn.functional as F
from torch.func import functional_call

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._gradients import weight_names
from zenfront.pipeline.proxies._host import to_host
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed, tensors_of
from zenfront.spaces import Network


def grasp(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Compute the gradient signal preservation, -theta^T H g, over the weights of convolutions and linear layers.

    g and H are the gradient and the Hessian of the mean cross-entropy of one mini-batch. H g is computed by a second
    backward pass.

    Args:
        network: Network with PyTorch's default weights; BN runs in train mode. Left unchanged.
        batch: Real images (N, C, H, W) and labels (N,).
        generator: Random number generator; affects the score only if the network contains dropout.

    Returns:
        The product, of either sign; higher is better (the authors chose the sign after the fact).

    Raises:
        ScoreUndefined: The loss does not depend on the weights, or the value is not finite.

    Source: Wang, Zhang, Grosse, Picking winning tickets before training, ICLR 2020, arXiv:2002.07376, with
    temperature 1 as in Abdelfattah et al., ICLR 2021. Known error of their code: if it splits a batch for lack of
    memory, it keeps only the last part.
    """
    tensors = tensors_of(network, batch.images.dtype)
    weights = [tensors[name].requires_grad_() for name in weight_names(network)]
    with borrowed(network, generator), torch.enable_grad():
        loss = F.cross_entropy(functional_call(network, tensors, (batch.images,)), batch.labels)
        if not loss.requires_grad:
            raise ScoreUndefined("the loss does not depend on the weights")
        gradients = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
        square = torch.stack([(gradient.detach() * gradient).sum() for gradient in gradients]).sum()
        products = torch.autograd.grad(square, weights, materialize_grads=True) if square.requires_grad else weights
    parts = [each.sum() for each in torch._foreach_mul([weight.detach() for weight in weights], products)]
    norm, values = to_host(square, torch.stack(parts))
    if not norm > 0:
        raise ScoreUndefined("the loss does not depend on the weights: all gradients are zero")
    total: float = sum(values.tolist())
    return -total


PROXY = Proxy(
    "grasp",
    grasp,
    "1",
    "maximise",
    "Wang et al., ICLR 2020; Abdelfattah et al., ICLR 2021",
    needs=frozenset({"images", "labels", "gradients"}),
)
