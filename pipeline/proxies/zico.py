"""ZiCo: gradients that are large and the same on every batch."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._gradients import loss_gradients
from zenfront.pipeline.proxies._options import Mode, Precision, one_of
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network, without_auxiliaries


def zico(
    network: Network,
    batch: Batch,
    generator: torch.Generator,
    *,
    mode: Mode = "paper",
    precision: Precision = "float32",
) -> float:
    """Inverse coefficient of variation of the gradients, over the two halves of the batch.

    ZiCo = sum_l log( sum_{w in l} E|g_w| / sqrt(Var|g_w|) ), g_w the gradients of the mean cross-entropy of each half.
    For two halves a term is (|g_1| + |g_2|) / ||g_1| - |g_2||. Weights without variance and layers without weights
    left count nothing.

    Args:
        network: With Kaiming weights; BN in train mode. Left as found.
        batch: images (N, C, H, W), real, and labels (N,); N even and at least 4.
        generator: Source of all randomness (there is none without dropout).
        mode: ``paper``: eq. 15, without shortcuts and squeeze-and-excitation (the code's ``no_reslink``).
            ``reference``: the code on the network as built: the deviation of the signed gradients, so that a term is
            (|g_1| + |g_2|) / |g_1 - g_2|, 1 exactly where the signs differ.
        precision: Of the passes. The largest terms, those of nearly equal gradients, decide the sum, and in float32
            rounding decides them. Ranks agree with those in float64 to 0.9988 (Spearman, 64 random networks of anynet3,
            32 images), where the passes take 2.9 times as long.

    Returns:
        ZiCo, dimensionless (nats); higher is better. Favours thin and deep networks (ZiCo-BC, arXiv:2309.14666).

    Raises:
        ScoreUndefined: The batch cannot be halved, or no gradient varies.

    Source: Li et al., ZiCo, ICLR 2023, arXiv:2301.11300, eq. 15; code b0fec65. Known errors of the code: it imports a
    missing module; it crashes on weights without gradient; with one batch it returns 0 for every network.
    """
    # Where two gradients nearly agree the term is the rounding error's: the reference rounds as its code does.
    choices: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], bool, AbstractContextManager[None]]]
    choices = {
        "paper": (_spread_of_sizes, False, without_auxiliaries(network)),
        "reference": (_spread, True, nullcontext()),
    }
    spread, as_published, structure = one_of("mode", mode, choices)
    dtype = one_of("precision", precision, {"float32": torch.float32, "float64": torch.float64})
    half = len(batch.images) // 2
    if half < 2 or len(batch.images) % 2:
        raise ScoreUndefined(f"the batch must have an even number of images, at least 4, but has {len(batch.images)}")
    images = batch.images.to(dtype)
    halves = [Batch(images[part], batch.labels[part]) for part in (slice(half), slice(half, None))]
    with borrowed(network, generator), structure:
        first, second = (loss_gradients(network, one, as_published=as_published) for one in halves)
    layers = [
        _layer(a.gradient, b.gradient, spread(a.gradient, b.gradient)) for a, b in zip(first, second, strict=True)
    ]
    if not (counted := [layer for layer in layers if layer > 0]):
        raise ScoreUndefined("no gradient differs between the halves of the batch")
    return float(torch.stack(counted).log().sum())


def _spread(first: Tensor, second: Tensor) -> Tensor:
    """Twice the standard deviation of two numbers."""
    return (first - second).abs()


def _spread_of_sizes(first: Tensor, second: Tensor) -> Tensor:
    return (first.abs() - second.abs()).abs()


def _layer(first: Tensor, second: Tensor, spread: Tensor) -> Tensor:
    return torch.where(spread > 0, (first.abs() + second.abs()) / spread, 0).sum(dtype=torch.float64)


PROXY = Proxy(
    "zico",
    zico,
    "nats",
    "maximise",
    "Li et al., ZiCo, ICLR 2023, eq. 15",
    needs=frozenset({"images", "labels", "gradients"}),
    weights="kaiming",
)
