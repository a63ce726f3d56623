"""AZ-NAS' expressivity: how evenly the features of each block spread."""

import torch

from zenfront.pipeline.proxies._az_nas import entropies
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network


def az_expressivity(network: Network, batch: Batch, generator: torch.Generator, *, images: int = 64) -> float:
    """Sum over the blocks of the entropy of the features' principal components: sum_l H_l.

    H_l = -sum_c p_c log(p_c + 1e-8), p the eigenvalues of the covariance of block l's features, normalised to sum 1.

    Args:
        network: With Kaiming weights; BN in train mode. Left as found. A block is a direct child of the features.
        batch: Only the shape of an image and the device count.
        generator: Draws the images.
        images: Number of Gaussian images.

    Returns:
        The sum (nats), from 0 to sum_l log C_l; higher is more expressive.

    Raises:
        ScoreUndefined: There are fewer than two blocks, or a block's output is constant or not finite.

    Source: Lee, Ham, AZ-NAS, CVPR 2024, arXiv:2403.19232; code ``compute_az_nas_score``. Deviation: float64.
    """
    with borrowed(network, generator):
        return float(entropies(network, batch, generator, images).sum())


PROXY = Proxy("az_expressivity", az_expressivity, "nats", "maximise", "Lee, Ham, AZ-NAS, CVPR 2024", weights="kaiming")
