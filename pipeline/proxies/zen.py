"""Zen-score: expressivity."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._host import by_shape, to_host
from zenfront.pipeline.proxies._options import Mode, Precision, one_of
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import BatchNorm, borrowed, fresh_statistics, gaussian, parameters_of
from zenfront.spaces import Network, without_auxiliaries

Features = Callable[[Tensor], Tensor]


def zen(
    network: Network,
    batch: Batch,
    generator: torch.Generator,
    *,
    mode: Mode = "paper",
    alpha: float = 1e-2,
    images: int = 16,
    precision: Precision = "float32",
) -> float:
    """Compute the Zen-score, the logarithm of the Gaussian complexity of the network without its normalisation.

    Zen = log E ||f(x) - f(x + alpha eps)||_F + sum_i log sbar_i, where x and eps ~ N(0, 1), f are the features, and
    sbar_i^2 is the mean over the channels of the mini-batch variance of the input of BN layer i. The sum compensates
    for the scaling by BN.

    Args:
        network: Network with BN and weights from N(0, 1), whose features map (N, C, H, W) to (N, C', H', W'). Left
            unchanged.
        batch: Batch of which only the image shape and the device are used; the images are random noise.
        generator: Random number generator that draws the noise.
        mode: ``paper``: Algorithm 1, without shortcuts and squeeze-and-excitation, with both passes in one batch, so
            that they share their batch statistics. ``reference``: the first repeat of ZenNAS' ``compute_zen_score.py``
            on the network as built, with the batch mean of the L1 norm, and with the running variances after both
            passes, (0.81 + 0.09 var_1 + 0.1 var_2), instead of the batch variances.
        alpha: Size of the perturbation ("mixup gamma").
        images: Number of noise images. The statistical error with 16 images is below 5 % (paper, sec. 4). The rank
            correlation with 64 images in float64 is 0.9997 (Spearman) for 64 random networks of anynet3 and 0.998
            (Kendall) for the 64 best of a search.
        precision: Precision of the passes.

    Returns:
        The Zen-score in nats, dimensionless; higher is more expressive. It grows with depth, so the depth should be
        bounded by a constraint.

    Raises:
        ScoreUndefined: The features do not depend on the input, or overflow.

    Source: Lin et al., Zen-NAS, ICCV 2021, arXiv:2102.01063, Algorithm 1; code ZenNAS d1d617e. Known errors of the
    published code: the offset of -0.83 per BN in reference mode depends on depth; the repeats never reset the running
    statistics and therefore drift upwards. The authors call the score undefined for irregular cells (DARTS,
    NAS-Bench-201).
    """
    measure = one_of("mode", mode, {"paper": _paper, "reference": _reference})
    dtype = one_of("precision", precision, {"float32": torch.float32, "float64": torch.float64})
    shape = (images, *batch.images.shape[1:])
    x = gaussian(shape, generator, batch.images).to(dtype)
    noise = gaussian(shape, generator, batch.images).to(dtype)
    features = _features(network, dtype)
    with torch.no_grad(), borrowed(network, generator):
        return measure(network, features, x, x + alpha * noise)


def _features(network: Network, dtype: torch.dtype) -> Features:
    if all(parameter.dtype == dtype for parameter in network.features.parameters()):
        return network.features
    parameters = parameters_of(network.features, dtype)
    return lambda images: functional_call(network.features, parameters, (images,))


def _paper(network: Network, features: Features, x: Tensor, perturbed: Tensor) -> float:
    both = torch.cat([x, perturbed]).contiguous(memory_format=torch.channels_last)
    with without_auxiliaries(network), fresh_statistics(network, 1.0, x) as norms:
        y, y_perturbed = features(both).chunk(2)
        difference = (y - y_perturbed).flatten(1).norm(dim=1).mean()
        return _zen(difference, norms)


def _reference(network: Network, features: Features, x: Tensor, perturbed: Tensor) -> float:
    with fresh_statistics(network, 0.1, x) as norms:
        y = features(x)
        y_perturbed = features(perturbed)
        difference = (y - y_perturbed).abs().flatten(1).sum(dim=1).mean()
        return _zen(difference, norms)


def _zen(difference: Tensor, norms: list[BatchNorm]) -> float:
    distance, *variances = to_host(difference, *([_mean_variances(norms)] if norms else []))
    if distance == 0:
        raise ScoreUndefined("the features do not depend on the input")
    log_sigma: list[float] = (variances[0].log() / 2).tolist() if norms else []
    value = float(distance.log()) + sum(log_sigma)
    if not math.isfinite(value):
        raise ScoreUndefined("the features overflow")
    return value


def _mean_variances(norms: list[BatchNorm]) -> Tensor:
    """Compute the mean over the channels of each norm's running variance, (number of norms,) float64."""
    variances = [norm.running_var for norm in norms if norm.running_var is not None]
    return torch.stack(by_shape(lambda same: same.double().mean(1), variances))


PROXY = Proxy("zen", zen, "nats", "maximise", "Lin et al., Zen-NAS, ICCV 2021, Algorithm 1", weights="gaussian")
