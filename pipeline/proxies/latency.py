"""Measured time of a forward pass."""

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
    """Seconds of an inference on this machine, with this number of threads.

    Measured: warm-up passes, then single passes, each between two synchronisations with the device.

    Args:
        network: In eval mode for the measurement. Left as found.
        batch: Only the shape of an image and the device count.
        generator: Source of all randomness (there is none).
        images: Number of images in a pass.
        warm_up: Passes before the measurement.
        repeats: Measured passes.
        statistic: ``median``; or ``spread``: the distance between the quartiles.

    Returns:
        Seconds for a pass of all images; lower is faster. The only score that differs from run to run.

    Raises:
        ScoreUndefined: There are no measured passes.

    Source: by definition. ZenNAS' timers never wait for the device and measure once: mostly the time of the launch.
    """
    spread = one_of("statistic", statistic, {"median": False, "spread": True})
    if repeats < 1:
        raise ScoreUndefined(f"`repeats` must be at least 1, but is {repeats}")
    zeros = batch.images.new_zeros((images, *batch.images.shape[1:]))
    with borrowed(network, generator, training=False), torch.inference_mode():
        for _ in range(warm_up):
            network(zeros)
        seconds = torch.tensor([_seconds(network, zeros) for _ in range(repeats)], dtype=torch.float64)
    return float(seconds.quantile(0.75) - seconds.quantile(0.25) if spread else seconds.median())


def _seconds(network: Network, images: torch.Tensor) -> float:
    _synchronise(images.device)
    start = time.perf_counter()
    network(images)
    _synchronise(images.device)
    return time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


PROXY = Proxy("latency", latency, "seconds", "minimise", "by definition", measured=True)
