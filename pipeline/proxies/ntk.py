"""Condition number of the neural tangent kernel: trainability."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._options import Mode, Precision, one_of
from zenfront.pipeline.proxies._per_image import PerImageGradients
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed, tensors_of
from zenfront.spaces import Network

Statistics = Literal["train", "eval"]


def ntk(
    network: Network,
    batch: Batch,
    generator: torch.Generator,
    *,
    mode: Mode = "paper",
    statistics: Statistics = "train",
    precision: Precision = "float32",
) -> float:
    """Condition number of the empirical neural tangent kernel at initialisation.

    kappa = lambda_max(Theta) / lambda_min(Theta), Theta = J J^T (N, N), row i of J (N, P) the gradient of the sum of
    the logits of image i with respect to all weights of convolutions, linear layers and norms, without biases.

    Args:
        network: Untrained; (N, C, H, W) -> (N, K). Left as found.
        batch: images (N, C, H, W) float32, real and normalised; labels unused.
        generator: Source of all randomness (there is none without dropout).
        mode: ``paper``: Theta is added up layer by layer from every image's own gradient. In train mode the change of
            the batch statistics counts within a layer, in the mean over the images, which is exact in the last 40 % of
            the layers and continued to the others, and in the first layer along the largest eigenvector (decision 11).
            ``reference``: the rows of J one by one, as TE-NAS does; exact, and about 17 times slower. Rank correlation
            of the two (32 images of CIFAR-10): 64 random networks of anynet3 Spearman 0.973, Kendall 0.877; the 64
            best of a search 0.976 and 0.873. Fresh weights change the score of one of these by 0.43 of its logarithm
            (standard error), nearly as much as the networks do (0.53).
        statistics: Of BN: ``train``: of the batch, so that row i depends on all images; ``eval``: running ones (both
            modes are exact then).
        precision: Of the gradients; the eigenvalues are always computed in float64.

    Returns:
        kappa >= 1, dimensionless; lower is more trainable.

    Raises:
        ScoreUndefined: Theta is singular to working precision.

    Source: Chen, Gong, Wang, TE-NAS, ICLR 2021, arXiv:2102.11535, sec. 3; code ``ntk.py``. Deviations: eigenvalues in
    float64, a singular kernel is no number. Known errors of the code: nan becomes 1e5; its initialisation switch
    matches no name, so that PyTorch's default (which is used here, too) gave the published values and its repeats
    share their weights; float32 eigenvalues make large kappa rounding noise.
    """
    dtype = one_of("precision", precision, {"float32": torch.float32, "float64": torch.float64})
    training = one_of("statistics", statistics, {"train": True, "eval": False})
    paper = one_of("mode", mode, {"paper": True, "reference": False})
    images = batch.images.to(dtype)
    with borrowed(network, generator, training=training), torch.enable_grad():
        if not paper:
            return condition_number(_from_rows(network, images, dtype), torch.finfo(dtype).eps ** 2)
        theta = _summed(network, images, dtype)
    return condition_number(theta, torch.finfo(dtype).eps)


def _summed(network: Network, images: Tensor, dtype: torch.dtype) -> Tensor:
    tensors = tensors_of(network, dtype)
    images = images.contiguous(memory_format=torch.channels_last)
    products: list[Tensor] = []
    gradients = PerImageGradients(lambda rows: products.append(rows @ rows.T), batch_statistics=True)
    with gradients:
        logits: Tensor = functional_call(network, tensors, (images,))
    first = gradients.backward(logits.sum())
    if not products:
        raise ScoreUndefined("the logits do not depend on any weight")
    theta = torch.stack(products).double().sum(0)
    if first is None or not theta.isfinite().all():
        return theta
    highest = torch.linalg.eigh(theta).eigenvectors[:, -1]
    direction = F.normalize(highest - highest.mean(), dim=0)
    rows = first.rows.double()
    changed = rows + torch.outer(direction, gradients.missing(first, direction.to(dtype)).double())
    return theta - rows @ rows.T + changed @ changed.T


def _from_rows(network: Network, images: Tensor, dtype: torch.dtype) -> Tensor:
    tensors = tensors_of(network, dtype)
    weights = [tensors[name].requires_grad_() for name, _ in network.named_parameters() if name.endswith("weight")]
    logits = functional_call(network, tensors, (images,))
    rows = [torch.autograd.grad(row.sum(), weights, retain_graph=True, materialize_grads=True) for row in logits]
    jacobian = torch.stack([torch.cat([gradient.flatten() for gradient in row]) for row in rows]).double()
    return jacobian @ jacobian.T


def condition_number(kernel: Tensor, epsilon: float) -> float:
    """lambda_max / lambda_min of a symmetric (N, N) float64 matrix whose relative error is epsilon.

    Args:
        kernel: The matrix.
        epsilon: Of its elements.

    Raises:
        ScoreUndefined: lambda_min is not above the rounding error N epsilon lambda_max, or not finite.
    """
    if not kernel.isfinite().all():
        raise ScoreUndefined("the neural tangent kernel is not finite")
    values = torch.linalg.eigvalsh(kernel)
    lowest, highest = float(values[0]), float(values[-1])
    if lowest <= len(kernel) * max(epsilon, torch.finfo(torch.float64).eps) * highest:
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
)
