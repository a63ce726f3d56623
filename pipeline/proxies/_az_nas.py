"""What AZ-NAS' scores share: the feature maps at the ends of the blocks, for Gaussian images.

A block is a direct child of ``network.features``. Its output counts if it is a feature map (N, C, H, W).
"""

from typing import Any

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._hooks import outputs_of
from zenfront.pipeline.proxies._proxy import Batch
from zenfront.pipeline.proxies._state import gaussian
from zenfront.spaces import Network

EPSILON = 1e-8  # the authors' constant within the logarithm


def block_outputs(network: Network, batch: Batch, generator: torch.Generator, images: int) -> list[Tensor]:
    """The blocks' outputs f_1 .. f_L, each (N, C, H, W), in the order of the calls.

    Raises:
        ScoreUndefined: There are fewer than two.
    """
    outputs: list[Tensor] = []

    def observe(_: nn.Module, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4:
            outputs.append(output)

    noise = gaussian((images, *batch.images.shape[1:]), generator, batch.images).requires_grad_(torch.is_grad_enabled())
    with outputs_of(list(network.features.children()), observe):
        network.features(noise)
    if len(outputs) < 2:
        raise ScoreUndefined(f"the features must consist of at least two blocks, but have {len(outputs)}")
    return outputs


def entropies(network: Network, batch: Batch, generator: torch.Generator, images: int) -> Tensor:
    """H_l = -sum_c p_c log(p_c + 1e-8) for every block, p the normalised eigenvalues of the features' covariance.

    The covariance (C, C) is over the N H W positions; H_l is between 0 and log C.

    Raises:
        ScoreUndefined: There are fewer than two blocks, or a block's output is constant or not finite.
    """
    with torch.no_grad():
        return torch.stack([_entropy(f) for f in block_outputs(network, batch, generator, images)])


def _entropy(features: Tensor) -> Tensor:
    columns = features.transpose(0, 1).flatten(1).double()
    columns = columns - columns.mean(1, keepdim=True)
    covariance = columns @ columns.T / columns.shape[1]
    if not covariance.isfinite().all():
        raise ScoreUndefined("the features overflow")
    values = torch.linalg.eigvalsh(covariance).clamp(min=0)
    if not values.sum() > 0:
        raise ScoreUndefined("the output of a block is constant")
    p = values / values.sum()
    entropy: Tensor = -(p * (p + EPSILON).log()).sum()
    return entropy
