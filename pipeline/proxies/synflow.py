"""SynFlow: the flow of positive signals along all paths."""

import math

import torch
from torch import Tensor

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._forward_mode_flow import log_synflow
from zenfront.pipeline.proxies._options import Mode, Precision, one_of
from zenfront.pipeline.proxies._outputs import OutputGradients
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.pipeline.proxies._synflow import Positive
from zenfront.spaces import Network


def synflow(
    network: Network,
    batch: Batch,
    generator: torch.Generator,
    *,
    mode: Mode = "paper",
    norms: bool = False,
    precision: Precision = "float32",
) -> float:
    """Log of the synaptic flow: log sum theta dR/dtheta over the weights of convolutions and linear layers.

    R = 1^T f(1; |theta|) for one image of ones, all parameters positive and norms switched off: the sum over all
    paths from input to output of the product of their weights.

    Args:
        network: With PyTorch's default weights. Left as found.
        batch: Only the shape of an image and the device count.
        generator: Source of all randomness (there is none without dropout).
        mode: ``paper``: the logarithm, since the flow is a product of the layers' widths (1e60 is common).
            ``reference``: the flow itself, as the code returns, in float64.
        norms: Leave the norms on, in train mode (``synflow_bn`` of the code); the absolute values count then, in
            float64.
        precision: ``float32``: one pass without gradients and with the image scaled down, so that flows up to 1e70
            are in range; what is out of it, or not homogeneous (squeeze-and-excitation), is taken in float64 all the
            same. Rank correlation with ``float64`` (Spearman, 72 networks of anynet3 at 32 x 32): 1.000000; the
            largest difference is 2e-7 nats.

    Returns:
        The flow, or its logarithm in nats; higher is better. Follows width and depth.

    Raises:
        ScoreUndefined: No path leads from input to output, or the flow overflows float64.

    Source: Tanaka et al., Pruning neural networks without any data, NeurIPS 2020, arXiv:2006.05467, eq. 1, as in
    Abdelfattah et al., ICLR 2021, code ``synflow.py``. ZenNAS' copy keeps BN and returns the negative.
    """
    logarithm = one_of("mode", mode, {"paper": True, "reference": False})
    float32 = one_of("precision", precision, {"float32": True, "float64": False})
    with borrowed(network, generator):
        if float32 and logarithm and not norms and (value := log_synflow(network, batch)) is not None:
            return value
        total = _with_norms(network, batch) if norms else _without_norms(network, batch)
    if not total > 0:
        raise ScoreUndefined("no path leads from the input to the output")
    if not math.isfinite(total):
        raise ScoreUndefined("the synaptic flow overflows float64")
    return math.log(total) if logarithm else total


def _with_norms(network: Network, batch: Batch) -> float:
    positive = Positive(norms=True)
    with torch.enable_grad():
        gradients = positive.gradients(positive.flow(network, batch))
    return sum(float((weight * gradient).abs().sum()) for weight, gradient in gradients)


def _without_norms(network: Network, batch: Batch) -> float:
    """sum_W W dR/dW = <z - b, dR/dz> for the output z = W u + b of a layer: no gradients of weights are needed."""
    parts: list[Tensor] = []

    def take(output: Tensor, gradient: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        parts.append(((output if bias is None else output - bias) * gradient).sum())

    outputs = OutputGradients(take)
    with torch.enable_grad():
        outputs.backward(Positive(observe=outputs.watch).flow(network, batch))
    return float(sum(parts))


PROXY = Proxy(
    "synflow",
    synflow,
    "nats",
    "maximise",
    "Tanaka et al., NeurIPS 2020, eq. 1; Abdelfattah et al., ICLR 2021",
    needs=frozenset({"gradients"}),
)
