"""Shared parts of the AZ-NAS scores: the outputs of the blocks for Gaussian images.

The blocks are those of `Network.blocks`. The output of a block is used if it is a feature map (N, C, H, W). On
NAS-Bench-201 the blocks of the published code are the stem and the cells; here the last BN and ReLU count as a block as
well.
"""

from typing import Any

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._hooks import outputs_of
from zenfront.pipeline.proxies._host import by_shape, to_host
from zenfront.pipeline.proxies._proxy import Batch
from zenfront.pipeline.proxies._state import gaussian
from zenfront.spaces import Network

EPSILON = 1e-8  # the constant that the published code adds inside the logarithm


def block_outputs(network: Network, batch: Batch, generator: torch.Generator, images: int) -> list[Tensor]:
    """Compute the block outputs f_1, ..., f_L, each (N, C, H, W), in call order.

    Raises:
        ScoreUndefined: The features have fewer than two blocks.
    """
    outputs: list[Tensor] = []

    def observe(_: nn.Module, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4:
            outputs.append(output)

    noise = gaussian((images, *batch.images.shape[1:]), generator, batch.images).requires_grad_(torch.is_grad_enabled())
    with outputs_of(network.blocks, observe):
        network.features(noise)
    if len(outputs) < 2:
        raise ScoreUndefined(
            f"the features must have maps (N, C, H, W) of at least two blocks, but have {len(outputs)}"
        )
    return outputs


def entropies(network: Network, batch: Batch, generator: torch.Generator, images: int) -> Tensor:
    """Compute the entropy H_l = -sum_c p_c log(p_c + 1e-8) of the principal components of each block, (L,).

    p are the eigenvalues of the (C, C) covariance of the features over the N H W positions, normalised to sum to 1.
    H_l lies between 0 and log C.

    Raises:
        ScoreUndefined: The features have fewer than two blocks, or the output of a block is constant or not finite.
    """
    with torch.no_grad():
        covariances = [_covariance(features) for features in block_outputs(network, batch, generator, images)]
        finite = torch.stack([each.isfinite().all() for each in covariances])
        zeroed = [torch.where(ok, each, 0) for ok, each in zip(finite, covariances, strict=True)]
        values = [each.clamp(min=0) for each in by_shape(torch.linalg.eigvalsh, zeroed)]
        parts = torch.stack([torch.stack([each.sum(), _entropy(each / each.sum())]) for each in values])
        flags, sums = to_host(finite, parts)
    for ok, total in zip(flags.tolist(), sums[:, 0].tolist(), strict=True):
        if not ok:
            raise ScoreUndefined("the features overflow")
        if not total > 0:
            raise ScoreUndefined("the output of a block is constant")
    return sums[:, 1].contiguous()


def _covariance(features: Tensor) -> Tensor:
    columns = features.transpose(0, 1).flatten(1).double()
    columns = columns - columns.mean(1, keepdim=True)
    return columns @ columns.T / columns.shape[1]


def _entropy(p: Tensor) -> Tensor:
    entropy: Tensor = -(p * (p + EPSILON).log()).sum()
    return entropy
