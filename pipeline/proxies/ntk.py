"""Condition number of the neural tangent kernel: trainability."""

from typing import Literal

import torch
from torch import Tensor
from torch.func import functional_call

from pipeline.errors import ScoreUndefined
from pipeline.proxies._proxy import Batch, Proxy
from pipeline.proxies._state import borrowed
from spaces import Network

Statistics = Literal["train", "eval"]
Precision = Literal["float32", "float64"]


def ntk(
    network: Network,
    batch: Batch,
    generator: torch.Generator,
    *,
    statistics: Statistics = "train",
    precision: Precision = "float32",
) -> float:
    """Condition number of the empirical neural tangent kernel at initialisation.

    kappa = lambda_max(Theta) / lambda_min(Theta), Theta = J J^T (N, N), row i of J (N, P) the gradient of the sum of
    the logits of image i with respect to all weights of convolutions, linear layers and norms, without biases.

    Args:
        network: Untrained; (N, C, H, W) -> (N, K). Left as found.
        batch: images (N, C, H, W) float32, real and normalised; labels unused.
        generator: Source of all randomness.
        statistics: Of BN: ``train``: of the batch, so that row i depends on all images; ``eval``: running.
        precision: Of the gradients; the eigenvalues are always computed in float64.

    Returns:
        kappa >= 1, dimensionless; lower is more trainable.

    Raises:
        ScoreUndefined: Theta is singular to working precision.

    Source: Chen, Gong, Wang, TE-NAS, ICLR 2021, arXiv:2102.11535, sec. 3; code ``ntk.py``. Deviations: eigenvalues in
    float64, a singular kernel is no number. Known errors of the code: nan becomes 1e5; its initialisation switch
    matches no name, so that repeats share their weights; float32 eigenvalues make large kappa rounding noise.
    """
    with borrowed(network, generator, training=statistics == "train"):
        jacobian = _jacobian(network, batch.images, getattr(torch, precision))
    return condition_number(jacobian.double() @ jacobian.double().T, torch.finfo(jacobian.dtype).eps)


def _jacobian(network: Network, images: Tensor, dtype: torch.dtype) -> Tensor:
    """J (N, P), one backward pass for each row."""
    state = {name: value.detach().to(dtype) for name, value in network.named_parameters()}
    buffers = {name: value.to(dtype) for name, value in network.named_buffers() if value.is_floating_point()}
    weights = [value.requires_grad_() for name, value in state.items() if name.endswith("weight")]
    with torch.enable_grad():
        logits = functional_call(network, {**state, **buffers}, (images.to(dtype),))
        rows = [torch.autograd.grad(row.sum(), weights, retain_graph=True, materialize_grads=True) for row in logits]
    return torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])


def condition_number(kernel: Tensor, epsilon: float) -> float:
    """lambda_max / lambda_min of a symmetric (N, N) float64 matrix computed from numbers of relative error epsilon.

    Raises:
        ScoreUndefined: lambda_min is not above the rounding error N epsilon^2 lambda_max, or not finite.
    """
    if not kernel.isfinite().all():
        raise ScoreUndefined("the neural tangent kernel is not finite")
    values = torch.linalg.eigvalsh(kernel)
    lowest, highest = float(values[0]), float(values[-1])
    if lowest <= len(kernel) * max(epsilon**2, torch.finfo(torch.float64).eps) * highest:
        raise ScoreUndefined(
            f"the neural tangent kernel is singular (eigenvalues from {lowest:.3g} to {highest:.3g}): "
            "images with equal gradients, or a network that does not depend on its weights"
        )
    return highest / lowest


PROXY = Proxy(
    "ntk",
    ntk,
    "1",
    "minimise",
    "Chen, Gong, Wang, TE-NAS, ICLR 2021, sec. 3",
    needs=frozenset({"images", "gradients"}),
    weights="kaiming",
)
