"""MeCo: independence of the channels of each layer, measured on one random image."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._activations import ActivationRecorder
from zenfront.pipeline.proxies._hooks import outputs_of
from zenfront.pipeline.proxies._host import by_shape, numbers
from zenfront.pipeline.proxies._multiply_adds import CONVOLUTIONS
from zenfront.pipeline.proxies._options import Mode, one_of
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed, gaussian
from zenfront.spaces import Network

CODE_SIDE = 64  # side of the image in the published code, for every task


def meco(network: Network, batch: Batch, generator: torch.Generator, *, mode: Mode = "paper") -> float:
    """Compute the sum over the layers of the smallest eigenvalue of the correlation between channels.

    The score is sum_l lambda_min(P(f_l)), where P is the (C, C) Pearson correlation between the C channel maps in the
    output of layer l for one Gaussian image. The correlation of a constant map with any map, including itself, is 0.

    Args:
        network: Network with PyTorch's default weights; BN runs in train mode. Left unchanged.
        batch: Batch of which only the image shape and the device are used.
        generator: Random number generator that draws the image.
        mode: ``paper``: sum over the convolutions, for an image of the task's size. ``reference``: sum over all
            modules, including containers, for an image of 64 x 64 pixels, like the published code, which thereby counts
            layers more than once.

    Returns:
        The sum; higher is better. lambda_min is 0 wherever C >= H W, so deep layers contribute only rounding noise.

    Raises:
        ScoreUndefined: The network has no convolution.

    Source: Jiang et al., MeCo, NeurIPS 2023. Deviations: float64 and `eigvalsh`; the published code takes the real part
    of ``torch.linalg.eig``.
    """
    measure = one_of("mode", mode, {"paper": _measure_convolutions, "reference": _measure_modules})
    correlations: list[Tensor] = []
    with torch.no_grad(), borrowed(network, generator):
        measure(network, batch, generator, lambda output: correlations.append(_correlation(output)))
        if not correlations:
            raise ScoreUndefined("the network has no convolution")
        return sum(numbers([values[0] for values in by_shape(torch.linalg.eigvalsh, correlations)]))


def _measure_convolutions(
    network: Network, batch: Batch, generator: torch.Generator, take: Callable[[Tensor], None]
) -> None:
    image = gaussian((1, *batch.images.shape[1:]), generator, batch.images)
    with ActivationRecorder(CONVOLUTIONS, take):
        network.features(image)


def _measure_modules(
    network: Network, batch: Batch, generator: torch.Generator, take: Callable[[Tensor], None]
) -> None:
    def observe(_: nn.Module, output: Any) -> None:
        if isinstance(output, Tensor):
            take(output)

    image = gaussian((1, batch.images.shape[1], CODE_SIDE, CODE_SIDE), generator, batch.images)
    with outputs_of(list(network.modules()), observe):
        network(image)


def _correlation(output: Tensor) -> Tensor:
    """Compute the correlation between the channels of the first image, (C, C); (1, 1) where all of it is 0."""
    maps = output[0].double().reshape(len(output[0]), -1)
    if maps.shape[1] == 1:  # maps of a single element are constant
        return maps.new_zeros(1, 1)
    maps = maps - maps.mean(1, keepdim=True)
    norms = maps.norm(dim=1, keepdim=True)
    directions = torch.where(norms > 0, maps / norms.clamp(min=torch.finfo(norms.dtype).tiny), 0)
    correlation: Tensor = directions @ directions.T
    return correlation


PROXY = Proxy("meco", meco, "1", "maximise", "Jiang et al., MeCo, NeurIPS 2023")
