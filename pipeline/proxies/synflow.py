"""SynFlow: the flow of positive signals along all paths."""

import math
from contextlib import nullcontext

import torch

from pipeline.errors import ScoreUndefined
from pipeline.proxies._options import Mode, one_of
from pipeline.proxies._proxy import Batch, Proxy
from pipeline.proxies._state import borrowed
from pipeline.proxies._synflow import WithoutNorms, flow
from spaces import Network


def synflow(
    network: Network, batch: Batch, generator: torch.Generator, *, mode: Mode = "paper", norms: bool = False
) -> float:
    """Log of the synaptic flow: log sum theta dR/dtheta over the weights of convolutions and linear layers.

    R = 1^T f(1; |theta|) for one image of ones, all parameters positive and norms switched off: the sum over all
    paths from input to output of the product of their weights.

    Args:
        network: With PyTorch's default weights. Left as found.
        batch: Only the shape of an image and the device count.
        generator: Source of all randomness (there is none without dropout).
        mode: ``paper``: the logarithm, since the flow is a product of the layers' widths (1e60 is common).
            ``reference``: the flow itself, as the code returns.
        norms: Leave the norms on, in train mode (``synflow_bn`` of the code); the absolute values count then.

    Returns:
        The flow, or its logarithm in nats; higher is better. Follows width and depth.

    Raises:
        ScoreUndefined: No path leads from input to output, or the flow overflows float64.

    Source: Tanaka et al., Pruning neural networks without any data, NeurIPS 2020, arXiv:2006.05467, eq. 1, as in
    Abdelfattah et al., ICLR 2021, code ``synflow.py``. ZenNAS' copy keeps BN and returns the negative.
    """
    logarithm = one_of("mode", mode, {"paper": True, "reference": False})
    with borrowed(network, generator), nullcontext() if norms else WithoutNorms():
        total = sum(float((weight * gradient).abs().sum()) for weight, gradient in flow(network, batch))
    if not total > 0:
        raise ScoreUndefined("no path leads from the input to the output")
    return math.log(total) if logarithm else total


PROXY = Proxy(
    "synflow",
    synflow,
    "nats",
    "maximise",
    "Tanaka et al., NeurIPS 2020, eq. 1; Abdelfattah et al., ICLR 2021",
    needs=frozenset({"gradients"}),
)
