"""Measured duration of a forward pass."""

import time

import torch

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._options import one_of
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network


def latency(
    network: Network,
    batch: Batch,
    generator: torch.Generator,
    *,
    images: int = 1,
    warm_up: int = 3,
    repeats: int = 15,
    statistic: str = "median",
) -> float:
    """Measure the duration of an inference on this machine with the current number of threads.

    After the warm-up passes, each pass is timed separately, with a device synchronisation before and after it.

    Args:
        network: Network, put in eval mode for the measurement. Left unchanged.
        batch: Batch of which only the image shape and the device are used.
        generator: Random number generator; does not affect the score.
        images: Number of images in a pass.
        warm_up: Number of passes before the measurement.
        repeats: Number of measured passes.
        statistic: ``median``, or ``spread`` for the interquartile range.

    Returns:
        The duration in seconds of a pass over all images; lower is faster. This is the only score that varies from run
        to run.

    Raises:
        ScoreUndefined: `repeats` is less than 1.

    Source: by definition. The timers of ZenNAS do not synchronise with the device and measure only once, so they mostly
    measure the kernel launch.
    """
    spread = one_of("statistic", statistic, {"median": False, "spread": True})
    if repeats < 1:
        raise ScoreUndefined(f"`repeats` must be at least 1, but got {repeats}")
    zeros = batch.images.new_zeros((images, *batch.images.shape[1:]))
    with borrowed(network, generator, training=False), torch.inference_mode():
        for _ in range(warm_up):
            network(zeros)
        seconds = torch.tensor([_measure_seconds(network, zeros) for _ in range(repeats)], dtype=torch.float64)
    return float(seconds.quantile(0.75) - seconds.quantile(0.25) if spread else seconds.median())


def _measure_seconds(network: Network, images: torch.Tensor) -> float:
    _synchronise(images.device)
    start = time.perf_counter()
    network(images)
    _synchronise(images.device)
    return time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


PROXY = Proxy("latency", latency, "seconds", "minimise", "by definition", measured=True)
