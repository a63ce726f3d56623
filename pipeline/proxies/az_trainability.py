"""AZ-NAS' trainability: does each block keep the size of the gradient?"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._az_nas import block_outputs
from zenfront.pipeline.proxies._options import Mode, one_of
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network

EPSILON = 1e-6  # the authors' constant in the denominator


def az_trainability(
    network: Network, batch: Batch, generator: torch.Generator, *, mode: Mode = "paper", images: int = 64
) -> float:
    """How near the blocks' Jacobians are to isometries: the mean over consecutive blocks of 2 - s - 1 / (s + 1e-6).

    s is the largest singular value of g_in^T g_out / (N H W), g_out = +-1 at random at a block's output and g_in its
    gradient at the previous block's output, unshuffled to the same resolution where the block has a stride.

    Args:
        network: With Kaiming weights; BN in train mode. Left as found. A block is a direct child of the features.
        batch: Only the shape of an image and the device count.
        generator: Draws the images and the signs.
        mode: ``paper``: a block that is the identity is skipped, as in the authors' transformer code. ``reference``:
            their CNN code gives it minus infinity: undefined here.
        images: Number of Gaussian images.

    Returns:
        At most 0, reached by s = 1; higher is more trainable.

    Raises:
        ScoreUndefined: There are fewer than two blocks, a block's resolution does not divide the previous one's, no
            gradient comes back; an identity (reference), or nothing else (paper).

    Source: Lee, Ham, AZ-NAS, CVPR 2024, arXiv:2403.19232; code ``compute_az_nas_score``.
    """
    skip = one_of("mode", mode, {"paper": True, "reference": False})
    with borrowed(network, generator), torch.enable_grad():
        outputs = block_outputs(network, batch, generator, images)
        singular = [_largest(before, after, generator) for before, after in pairwise(outputs)]
    values = [2 - s - 1 / (s + EPSILON) for s in singular if s is not None]
    if not values or (len(values) < len(singular) and not skip):
        raise ScoreUndefined("a block is the identity")
    return sum(values) / len(values)


def _largest(before: Tensor, after: Tensor, generator: torch.Generator) -> float | None:
    """The singular value s of one block; None for an identity."""
    signs = torch.randint(2, after.shape, generator=generator, device=generator.device)
    g_out = signs.to(after).mul_(2).sub_(1)
    (g_in,) = torch.autograd.grad(after, before, g_out, retain_graph=True, materialize_grads=True, allow_unused=True)
    if g_in.shape == g_out.shape and torch.equal(g_in, g_out):
        return None
    ratio, rest = divmod(g_in.shape[2], g_out.shape[2])
    if rest or g_out.shape[2] * ratio != g_in.shape[2] or g_out.shape[3] * ratio != g_in.shape[3]:
        sizes = f"{tuple(g_in.shape[2:])} to {tuple(g_out.shape[2:])}"
        raise ScoreUndefined(f"a block changes the resolution by no whole number: {sizes}")
    g_in = F.pixel_unshuffle(g_in, ratio)
    product = _columns(g_in) @ _columns(g_out).T / (g_out.numel() // g_out.shape[1])
    s = float(torch.linalg.matrix_norm(product, ord=2))
    if not s > 0:
        raise ScoreUndefined("no gradient comes back through a block")
    return s


def _columns(gradient: Tensor) -> Tensor:
    """(N, C, H, W) to (C, N H W), float64."""
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
