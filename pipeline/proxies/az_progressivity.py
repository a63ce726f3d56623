"""AZ-NAS progressivity: growth of the expressivity from block to block."""

import torch

from zenfront.pipeline.proxies._az_nas import entropies
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network


def az_progressivity(network: Network, batch: Batch, generator: torch.Generator, *, images: int = 64) -> float:
    """Compute the smallest increase of the feature entropy between consecutive blocks, min_l (H_l - H_{l-1}).

    H_l = -sum_c p_c log(p_c + 1e-8), where p are the eigenvalues of the covariance of the features of block l,
    normalised to sum to 1. A block is a direct child of ``network.features``; on NAS-Bench-201 the last BN
    and ReLU are one as well, which the published code leaves out.

    Args:
        network: Network with Kaiming weights; BN runs in train mode. Left unchanged.
        batch: Batch of which only the image shape and the device are used.
        generator: Random number generator that draws the images.
        images: Number of Gaussian images.

    Returns:
        The difference in nats, of either sign; higher is better.

    Raises:
        ScoreUndefined: The features have fewer than two blocks, or the output of a block is constant or not finite.

    Source: Lee, Ham, AZ-NAS, CVPR 2024, arXiv:2403.19232; code ``compute_az_nas_score``. Deviation: float64.
    """
    with borrowed(network, generator):
        return float(entropies(network, batch, generator, images).diff().min())


PROXY = Proxy(
    "az_progressivity", az_progressivity, "nats", "maximise", "Lee, Ham, AZ-NAS, CVPR 2024", weights="kaiming"
)
