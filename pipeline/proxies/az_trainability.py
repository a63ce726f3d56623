"""AZ-NAS trainability: preservation of the gradient norm by each block."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._az_nas import block_outputs
from zenfront.pipeline.proxies._host import by_shape, to_host
from zenfront.pipeline.proxies._options import Mode, one_of
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network

EPSILON = 1e-6  # the constant that the published code adds to the denominator


def az_trainability(
    network: Network, batch: Batch, generator: torch.Generator, *, mode: Mode = "paper", images: int = 64
) -> float:
    """Measure how close the Jacobians of the blocks are to isometries.

    The score is the mean over consecutive blocks of 2 - s - 1 / (s + 1e-6), where s is the largest singular value of
    g_in^T g_out / (N H W). g_out has random entries of +-1 at the output of a block, and g_in is the resulting gradient
    at the output of the previous block, pixel-unshuffled to the same resolution if the block has a stride. A block is a
    direct child of ``network.features``; on NAS-Bench-201 the last BN and ReLU are one as well, which the published
    code leaves out.

    Args:
        network: Network with Kaiming weights; BN runs in train mode. Left unchanged.
        batch: Batch of which only the image shape and the device are used.
        generator: Random number generator that draws the images and the signs.
        mode: Treatment of blocks that are the identity. ``paper``: skip them, as the authors' code for transformers
            does. ``reference``: the authors' code for CNNs assigns them minus infinity, so the score is undefined.
        images: Number of Gaussian images.

    Returns:
        The mean, at most 0 (reached for s = 1); higher is more trainable.

    Raises:
        ScoreUndefined: The features have fewer than two blocks; the resolution of a block does not divide that of the
            previous one; no gradient passes through a block; a block is the identity (``reference``) or all blocks are
            (``paper``).

    Source: Lee, Ham, AZ-NAS, CVPR 2024, arXiv:2403.19232; code ``compute_az_nas_score``.
    """
    skip = one_of("mode", mode, {"paper": True, "reference": False})
    with borrowed(network, generator), torch.enable_grad():
        outputs = block_outputs(network, batch, generator, images)
        jacobians = [_jacobian(before, after, generator) for before, after in pairwise(outputs)]
        singular = [values[0] for values in by_shape(torch.linalg.svdvals, [product for product, _ in jacobians])]
        identities, largest = to_host(torch.stack([same for _, same in jacobians]), torch.stack(singular))
    found: list[float] = [s for s, same in zip(largest.tolist(), identities.tolist(), strict=True) if not same]
    if not all(s > 0 for s in found):
        raise ScoreUndefined("no gradient passes through a block")
    if not found or (len(found) < len(singular) and not skip):
        raise ScoreUndefined("a block is the identity")
    return sum(2 - s - 1 / (s + EPSILON) for s in found) / len(found)


def _jacobian(before: Tensor, after: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return g_in^T g_out / (N H W) of one block, and whether the block is the identity, a flag on the device."""
    signs = torch.randint(2, after.shape, generator=generator, device=generator.device)
    g_out = signs.to(after).mul_(2).sub_(1)
    (g_in,) = torch.autograd.grad(after, before, g_out, retain_graph=True, materialize_grads=True, allow_unused=True)
    same = (g_in == g_out).all() if g_in.shape == g_out.shape else g_out.new_zeros(())
    ratio, rest = divmod(g_in.shape[2], g_out.shape[2])
    if rest or g_out.shape[2] * ratio != g_in.shape[2] or g_out.shape[3] * ratio != g_in.shape[3]:
        sizes = f"{tuple(g_in.shape[2:])} to {tuple(g_out.shape[2:])}"
        raise ScoreUndefined(f"a block must reduce the resolution by an integer factor, but changes it from {sizes}")
    g_in = F.pixel_unshuffle(g_in, ratio)
    product = _columns(g_in) @ _columns(g_out).T / (g_out.numel() // g_out.shape[1])
    return product, same


def _columns(gradient: Tensor) -> Tensor:
    """Reshape (N, C, H, W) to (C, N H W) float64."""
    return gradient.transpose(0, 1).flatten(1).double()


PROXY = Proxy(
    "az_trainability",
    az_trainability,
    "1",
    "maximise",
    "Lee, Ham, AZ-NAS, CVPR 2024",
    needs=frozenset({"gradients"}),
    weights="kaiming",
)
