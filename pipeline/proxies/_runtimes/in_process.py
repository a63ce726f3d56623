"""Measurements in this process: torch, torch.compile and onnxruntime."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.formats import onnxruntime, write_onnx
from zenfront.pipeline.proxies._runtimes.settings import Settings

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def torch_seconds(network: nn.Module, images: Tensor, settings: Settings) -> list[float]:
    """Return the seconds of each pass in torch, operation by operation."""
    network, images = in_precision(network, images, settings)
    with _threads(settings.threads), torch.inference_mode():
        return _time(lambda: network(images), images.device, settings)


def compiled_seconds(network: nn.Module, images: Tensor, settings: Settings) -> list[float]:
    """Return the seconds of each pass after `torch.compile`, which needs a C++ compiler on a CPU."""
    network, images = in_precision(network, images, settings)
    compiled = torch.compile(network, dynamic=False)
    try:
        with _threads(settings.threads), torch.inference_mode():
            return _time(lambda: compiled(images), images.device, settings)
    finally:
        torch._dynamo.reset()  # each network leaves its code in a cache that ends after a few


def onnxruntime_seconds(network: nn.Module, images: Tensor, settings: Settings) -> list[float]:
    """Return the seconds of each pass in onnxruntime, of the file that torch's exporter writes."""
    runtime, device = onnxruntime(), images.device
    with TemporaryDirectory(prefix="zenfront-") as folder:
        path = Path(folder) / "network.onnx"
        network, images = in_precision(network, images, settings)
        write_onnx(network, images, path, dynamic_batch=False)
        session = runtime.InferenceSession(
            path, _session_options(runtime, settings), providers=[provider(runtime, device.type)]
        )
    given = {session.get_inputs()[0].name: images.cpu().numpy()}
    return _time(lambda: session.run(None, given), torch.device("cpu"), settings)


def provider(runtime: Any, device: str) -> str:
    """Return what onnxruntime calls a device.

    Raises:
        UserError: This onnxruntime does not have it; it would measure on the CPU without a word.
    """
    name = PROVIDERS[device]
    if name not in (known := runtime.get_available_providers()):
        raise UserError(
            f"proxies.latency: onnxruntime has no {name} here ({', '.join(known)}): install onnxruntime-gpu, or "
            "measure on the CPU (resources.device: cpu)."
        )
    return name


def in_precision(network: nn.Module, images: Tensor, settings: Settings) -> tuple[nn.Module, Tensor]:
    """Return network and images in the precision of the settings; the given network is left as it is."""
    if settings.precision == "float32":
        return network, images
    return deepcopy(network).to(settings.dtype), images.to(settings.dtype)


def _session_options(runtime: Any, settings: Settings) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _time(run: Callable[[], object], device: torch.device, settings: Settings) -> list[float]:
    """Return the seconds of each pass after the warm-up, with a device synchronisation before and after it."""
    for _ in range(settings.warm_up):
        run()
    return [_seconds(run, device) for _ in range(settings.repeats)]


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    _synchronise(device)
    start = time.perf_counter()
    run()
    _synchronise(device)
    return time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
