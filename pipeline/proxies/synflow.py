"""SynFlow: flow of positive signals along all paths."""

import math

import torch
from torch import Tensor

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._forward_mode_flow import log_synflow
from zenfront.pipeline.proxies._host import numbers
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
    """Compute the logarithm of the synaptic flow, log sum theta dR/dtheta.

    The sum is over the weights of convolutions and linear layers. R = 1^T f(1; |theta|) is the output for one image of
    ones, with all parameters replaced by their absolute values and norms by the identity. It equals the sum over all
    paths from the input to the output of the product of their weights.

    Args:
        network: Network with PyTorch's default weights. Left unchanged.
        batch: Batch of which only the image shape and the device are used.
        generator: Random number generator; affects the score only if the network contains dropout.
        mode: ``paper``: return the logarithm, because the flow grows with the product of the layer widths (1e60 is
            common). ``reference``: return the flow itself in float64, like the published code.
        norms: Whether to keep the norms, in train mode (``synflow_bn`` of the published code). The terms then count
            with their absolute values, in float64.
        precision: ``float32``: use one pass without gradients and with the image scaled down, so that flows up to 1e70
            are in range. Flows out of range and networks that are not homogeneous (squeeze-and-excitation) fall back to
            float64. For 72 networks of anynet3 at 32 x 32, the rank correlation (Spearman) with ``float64`` is
            1.000000 and the largest difference is 2e-7 nats.

    Returns:
        The logarithm of the flow in nats, or the flow itself (``reference``); higher is better. The score grows with
        width and depth.

    Raises:
        ScoreUndefined: No path leads from the input to the output, or the flow overflows float64.

    Source: Tanaka et al., Pruning neural networks without any data, NeurIPS 2020, arXiv:2006.05467, eq. 1, as in
    Abdelfattah et al., ICLR 2021, code ``synflow.py``. ZenNAS' copy keeps BN and returns the negative.
    """
    logarithm = one_of("mode", mode, {"paper": True, "reference": False})
    float32 = one_of("precision", precision, {"float32": True, "float64": False})
    with borrowed(network, generator):
        if float32 and logarithm and not norms and (value := log_synflow(network, batch)) is not None:
            return value
        total = _flow_with_norms(network, batch) if norms else _flow_without_norms(network, batch)
    if not math.isfinite(total):
        raise ScoreUndefined("the synaptic flow overflows float64")
    if not total > 0:
        raise ScoreUndefined("no path leads from the input to the output")
    return math.log(total) if logarithm else total


def _flow_with_norms(network: Network, batch: Batch) -> float:
    positive = Positive(norms=True)
    with torch.enable_grad():
        gradients = positive.gradients(positive.flow(network, batch))
    return sum(numbers([(weight * gradient).abs().sum() for weight, gradient in gradients]))


def _flow_without_norms(network: Network, batch: Batch) -> float:
    """Compute the flow from the gradients of the layer outputs, without the gradients of the weights.

    sum_W W dR/dW = <z - b, dR/dz> for the output z = W u + b of a layer.
    """
    parts: list[Tensor] = []

    def take(output: Tensor, gradient: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        parts.append(((output if bias is None else output - bias) * gradient).sum())

    outputs = OutputGradients(take)
    with torch.enable_grad():
        outputs.backward(Positive(observe=outputs.watch).flow(network, batch))
    return sum(numbers(parts))


PROXY = Proxy(
    "synflow",
    synflow,
    "nats",
    "maximise",
    "Tanaka et al., NeurIPS 2020, eq. 1; Abdelfattah et al., ICLR 2021",
    needs=frozenset({"gradients"}),
)
