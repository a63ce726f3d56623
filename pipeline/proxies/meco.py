"""MeCo: how independent the channels of each layer are, from one random image."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._activations import CONVOLUTIONS, ActivationRecorder
from zenfront.pipeline.proxies._hooks import outputs_of
from zenfront.pipeline.proxies._options import Mode, one_of
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed, gaussian
from zenfront.spaces import Network

CODE_SIDE = 64  # the code's input, whatever the task


def meco(network: Network, batch: Batch, generator: torch.Generator, *, mode: Mode = "paper") -> float:
    """Minimum eigenvalue of the channels' correlation, summed over the layers.

    sum_l lambda_min(P(f_l)), P the Pearson correlation (C, C) between the C channel maps that layer l puts out for one
    Gaussian image. A constant map correlates with nothing, not even itself.

    Args:
        network: With PyTorch's default weights; BN in train mode. Left as found.
        batch: Only the shape of an image and the device count.
        generator: Draws the image.
        mode: ``paper``: over the convolutions, an image of the task's size. ``reference``: as the code, over all
            modules, those that contain others as well (which counts layers more than once), an image of 64 x 64.

    Returns:
        The sum; higher is better. lambda_min is 0 wherever C >= H W: deep layers contribute rounding noise.

    Raises:
        ScoreUndefined: There is no convolution.

    Source: Jiang et al., MeCo, NeurIPS 2023. Deviations: float64 and `eigvalsh`; the code takes the real part
    of ``torch.linalg.eig``.
    """
    measure = one_of("mode", mode, {"paper": _convolutions, "reference": _modules})
    eigenvalues: list[Tensor] = []
    with torch.no_grad(), borrowed(network, generator):
        measure(network, batch, generator, lambda output: eigenvalues.append(_lowest(output)))
    if not eigenvalues:
        raise ScoreUndefined("there is no convolution")
    return float(sum(eigenvalues))


def _convolutions(network: Network, batch: Batch, generator: torch.Generator, take: Callable[[Tensor], None]) -> None:
    image = gaussian((1, *batch.images.shape[1:]), generator, batch.images)
    with ActivationRecorder(CONVOLUTIONS, take):
        network.features(image)


def _modules(network: Network, batch: Batch, generator: torch.Generator, take: Callable[[Tensor], None]) -> None:
    def observe(_: nn.Module, output: Any) -> None:
        if isinstance(output, Tensor):
            take(output)

    image = gaussian((1, batch.images.shape[1], CODE_SIDE, CODE_SIDE), generator, batch.images)
    with outputs_of(list(network.modules()), observe):
        network(image)


def _lowest(output: Tensor) -> Tensor:
    maps = output[0].double().reshape(len(output[0]), -1)
    if maps.shape[1] == 1:  # a vector: all maps are constant
        return maps.new_zeros(())
    maps = maps - maps.mean(1, keepdim=True)
    norms = maps.norm(dim=1, keepdim=True)
    directions = torch.where(norms > 0, maps / norms.clamp(min=torch.finfo(norms.dtype).tiny), 0)
    values: Tensor = torch.linalg.eigvalsh(directions @ directions.T)
    return values[0]


PROXY = Proxy("meco", meco, "1", "maximise", "Jiang et al., MeCo, NeurIPS 2023")
