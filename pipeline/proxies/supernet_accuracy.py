"""Accuracy of an architecture with the weights that a supernet shares among the architectures of its space."""

from typing import Literal

import torch

from zenfront.pipeline.proxies._host import numbers
from zenfront.pipeline.proxies._options import one_of
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network

TOGETHER = 500
"""Images in a forward pass at most."""
AVERAGES = {"last": None, "ema": "ema", "swa": "swa"}


def supernet_accuracy(
    network: Network, batch: Batch, generator: torch.Generator, *, weights: Literal["last", "ema", "swa"] = "last"
) -> float:
    """Compute the accuracy of a network with the weights of a supernet.

    The supernet is trained once, before anything is scored, as the section `supernet` of the experiment says; its
    weights lie in the run folder. The network is not trained further.

    Args:
        network: Network with the shared weights of its architecture, put in eval mode. Left unchanged.
        batch: The validation images (N, C, H, W) and their labels; a part of them if all would take more than 1 GiB.
        generator: Random number generator; does not affect the score.
        weights: Weights of the supernet: those after the ``last`` step, their moving average ``ema`` (decay
            `supernet.ema`), or the average ``swa`` over the last part of the training (`supernet.swa`).

    Returns:
        The fraction of correctly classified images, in [0, 1]; higher is better.

    Source: Guo et al., Single path one-shot NAS, ECCV 2020, arXiv:1904.00420. How far its ranking can be believed:
    Zhang et al., 2020, arXiv:2001.01431; `zenfront supernet` measures it.
    """
    one_of("weights", weights, AVERAGES)
    with borrowed(network, generator, training=False), torch.inference_mode():
        parts = (slice(start, start + TOGETHER) for start in range(0, len(batch.labels), TOGETHER))
        right = [(network(batch.images[part]).argmax(1) == batch.labels[part]).sum() for part in parts]
    return sum(numbers(right)) / len(batch.labels)


PROXY = Proxy(
    "supernet_accuracy",
    supernet_accuracy,
    "fraction",
    "maximise",
    "Guo et al., ECCV 2020, arXiv:1904.00420",
    needs=frozenset({"images", "labels"}),
    of_supernet=True,
)
