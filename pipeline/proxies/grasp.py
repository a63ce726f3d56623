"""GraSP: how much removing a weight changes the gradient's size."""

import torch
import torch.nn.functional as F
from torch.func import functional_call

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._gradients import weight_names
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed, tensors_of
from zenfront.spaces import Network


def grasp(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Gradient signal preservation: -theta^T H g over the weights of convolutions and linear layers.

    g and H are gradient and Hessian of the mean cross-entropy of one mini-batch; H g by a second backward pass.

    Args:
        network: With PyTorch's default weights; BN in train mode. Left as found.
        batch: images (N, C, H, W), real, and labels (N,).
        generator: Source of all randomness (there is none without dropout).

    Returns:
        The product, of either sign; higher is better (the authors chose the sign after the fact).

    Raises:
        ScoreUndefined: The loss does not depend on the weights, or the value is not finite.

    Source: Wang, Zhang, Grosse, Picking winning tickets before training, ICLR 2020, arXiv:2002.07376, with
    temperature 1 as in Abdelfattah et al., ICLR 2021. Known error of their code: when it splits a batch for lack of
    memory it keeps the last part only.
    """
    tensors = tensors_of(network, batch.images.dtype)
    weights = [tensors[name].requires_grad_() for name in weight_names(network)]
    with borrowed(network, generator), torch.enable_grad():
        loss = F.cross_entropy(functional_call(network, tensors, (batch.images,)), batch.labels)
        if not loss.requires_grad:
            raise ScoreUndefined("the loss does not depend on the weights")
        gradients = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
        square = torch.stack([(gradient.detach() * gradient).sum() for gradient in gradients]).sum()
        if not square > 0:
            raise ScoreUndefined("the loss does not depend on the weights: all gradients vanish")
        products = torch.autograd.grad(square, weights, materialize_grads=True)
    return -sum(float((weight.detach() * product).sum()) for weight, product in zip(weights, products, strict=True))


PROXY = Proxy(
    "grasp",
    grasp,
    "1",
    "maximise",
    "Wang et al., ICLR 2020; Abdelfattah et al., ICLR 2021",
    needs=frozenset({"images", "labels", "gradients"}),
)
