"""Measured duration of a forward pass."""

from typing import Annotated, Literal, get_args

import torch
from pydantic import Field

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.proxies._options import one_of
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._runtimes import Precision, Runtime, Settings, conflict, measure
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network

Count = Annotated[int, Field(ge=1, le=100_000)]
Seconds = Annotated[float, Field(gt=0, le=100_000)]


def latency(
    network: Network,
    like: Batch,
    generator: torch.Generator,
    *,
    runtime: Runtime = "torch",
    batch: Count | None = None,
    images: Count | None = None,
    threads: Count | None = None,
    precision: Precision = "float32",
    warm_up: Annotated[int, Field(ge=0, le=100_000)] = 3,
    repeats: Count = 15,
    statistic: Literal["median", "spread"] = "median",
    command: str | None = None,
    device: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = None,
    pattern: str | None = None,
    timeout: Seconds = 120.0,
    retries: Annotated[int, Field(ge=0, le=100)] = 4,
    pause: Seconds = 2.0,
    model: Annotated[int, Field(ge=10, le=100_000)] | None = None,
) -> float:
    """Measure the duration of an inference, on this machine or on the device that a program of your own measures on.

    After the warm-up passes, each pass is timed separately, with a device synchronisation before and after it.

    Args:
        network: Network, put in eval mode for the measurement. Left unchanged.
        like: Mini-batch of which only the image shape and the device are used.
        generator: Random number generator; does not affect the score.
        runtime: ``torch``, ``torch.compile`` or ``onnxruntime`` in this process; or ``command``, a program that
            measures the exported network.
        batch: Number of images in a pass, 1 if not given.
        images: Earlier name of `batch`.
        threads: Number of threads; those of the worker if not given.
        precision: Type of the weights and activations. onnxruntime has no ``bfloat16``.
        warm_up: Number of passes before the measurement.
        repeats: Number of measured passes.
        statistic: ``median``, or ``spread`` for the interquartile range.
        command: Program of runtime ``command`` with its arguments. ``{onnx}`` or ``{pt2}`` stands for the exported
            file; ``{batch}``, ``{threads}``, ``{precision}``, ``{warm_up}`` and ``{repeats}`` for these options. It
            runs without a shell and prints milliseconds: the last line that is a number counts. Needs
            ``--allow-code``.
        device: Name of the device that the command measures on; one measurement at a time uses it.
        pattern: Regular expression with one group that finds the milliseconds in what the command prints.
        timeout: Seconds after which an attempt of the command is ended.
        retries: Further attempts after a failed one.
        pause: Seconds before the second attempt; each further pause is twice as long, at most 60 s.
        model: Measure only so many architectures before a search, and predict the latency of all from them.

    Returns:
        The duration in seconds of a pass over all images; lower is faster. This is the only score that varies from run
        to run.

    Raises:
        ScoreUndefined: The command gave no duration.
        UserError: Options contradict each other.

    Source: by definition. The timers of ZenNAS do not synchronise with the device and measure only once, so they mostly
    measure the kernel launch.
    """
    given = {name: value for name, value in locals().items() if name in _OPTIONS}
    spread = one_of("statistic", statistic, {"median": False, "spread": True})
    for option, choice, kind in (("runtime", runtime, Runtime), ("precision", precision, Precision)):
        one_of(option, choice, dict.fromkeys(get_args(kind)))
    if problem := conflict(given):
        raise UserError(f"proxies.latency: {problem}.")
    size, threads = batch or images or 1, threads or torch.get_num_threads()
    settings = Settings(**{name: given[name] for name in _SETTINGS} | {"batch": size, "threads": threads})
    zeros = like.images.new_zeros((size, *like.images.shape[1:]))
    with borrowed(network, generator, training=False):
        seconds = torch.tensor(measure(network, zeros, settings), dtype=torch.float64)
    return float(seconds.quantile(0.75) - seconds.quantile(0.25) if spread else seconds.median())


_OPTIONS = frozenset(latency.__kwdefaults__ or {})
_SETTINGS = _OPTIONS & Settings.__dataclass_fields__.keys()

PROXY = Proxy("latency", latency, "seconds", "minimise", "by definition", measured=True, conflict=conflict)
