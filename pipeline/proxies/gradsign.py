"""GradSign: agreement of the images on the signs of their gradients."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._gradients import check_loss, loss_gradients
from zenfront.pipeline.proxies._host import numbers, to_host
from zenfront.pipeline.proxies._options import Mode, one_of
from zenfront.pipeline.proxies._per_image import PerImageGradients
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed, tensors_of
from zenfront.spaces import Network


def gradsign(
    network: Network,
    batch: Batch,
    generator: torch.Generator,
    *,
    mode: Mode = "paper",
    over_weights: Literal["sum", "mean"] = "sum",
) -> float:
    """Compute the agreement of the gradient signs of the images, sum_k | sum_i sign(dL_i / dtheta_k) |.

    L_i is the cross-entropy of image i, and k runs over the weights.

    Args:
        network: Network with PyTorch's default weights; BN runs in train mode. Left unchanged.
        batch: Real images (N, C, H, W) and labels (N,).
        generator: Random number generator; affects the score only if the network contains dropout.
        mode: ``paper``: compute per-image gradients with the statistics of the whole batch held fixed, for the weights
            of convolutions, linear layers and norms. ``reference``: run one forward and backward pass per image, like
            the published code, so that BN normalises a batch of one (and fails on 1 x 1 maps); weights of norms are
            left out.
        over_weights: ``sum``: the sum over the P weights, which grows with the size of the network. ``mean``: the sum
            divided by P. The published code computes both; they rank networks of different sizes differently.

    Returns:
        The sum, at most N P, or the mean, at most N; higher is better.

    Raises:
        ScoreUndefined: The loss does not depend on the weights, or a BN receives a single value (``reference``).

    Source: Zhang, Jia, GradSign, ICLR 2022, arXiv:2110.08616.
    """
    measure = one_of("mode", mode, {"paper": _sum_signs, "reference": _sum_signs_image_by_image})
    mean = one_of("over_weights", over_weights, {"sum": False, "mean": True})
    with borrowed(network, generator):
        total, weights = measure(network, batch)
    if not total > 0:
        raise ScoreUndefined("the loss does not depend on the weights: all gradients are zero")
    return total / weights if mean else total


def _sum_signs(network: Network, batch: Batch) -> tuple[float, int]:
    """Return the sum, and the number of weights."""
    sums: list[Tensor] = []
    counts: list[int] = []

    def add(rows: Tensor) -> None:
        sums.append(rows.sign().sum(0).abs().sum(dtype=torch.float64))
        counts.append(rows.shape[1])

    gradients = PerImageGradients(add)
    tensors = tensors_of(network, batch.images.dtype)
    images = batch.images.contiguous(memory_format=torch.channels_last)
    with torch.enable_grad():
        with gradients:
            logits = functional_call(network, tensors, (images,))
        gradients.backward(F.cross_entropy(logits, batch.labels, reduction="sum"))
    return sum(numbers(sums)), sum(counts)


def _sum_signs_image_by_image(network: Network, batch: Batch) -> tuple[float, int]:
    signs: list[Tensor] = []
    flags: list[Tensor] = []
    for n in range(len(batch.images)):
        gradients = loss_gradients(network, Batch(batch.images[n : n + 1], batch.labels[n : n + 1]))
        signs.append(torch.cat([weight.gradient.sign().flatten() for weight in gradients.weights]))
        flags.append(torch.stack([gradients.loss, signs[-1].any().to(gradients.loss)]))
    agreement = torch.stack(signs).sum(0).abs()
    total, checks = to_host(agreement.sum(dtype=torch.float64), torch.stack(flags))
    for loss, depends in checks.tolist():
        check_loss(loss, bool(depends))
    return float(total), agreement.numel()


PROXY = Proxy(
    "gradsign",
    gradsign,
    "1",
    "maximise",
    "Zhang, Jia, GradSign, ICLR 2022",
    needs=frozenset({"images", "labels", "gradients"}),
)
