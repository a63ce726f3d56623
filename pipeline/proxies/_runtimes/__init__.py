"""Runtimes in which `latency` measures a network: in this process, or by a program of the user's own."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from zenfront.pipeline.proxies._runtimes import in_process, program
from zenfront.pipeline.proxies._runtimes.settings import Precision, Runtime, Settings, conflict
from zenfront.spaces import Network

Measure = Callable[[Network, Tensor, Settings], Sequence[float]]
_MEASURES: dict[Any, Measure] = {
    "torch": in_process.torch_seconds,
    "torch.compile": in_process.compiled_seconds,
    "onnxruntime": in_process.onnxruntime_seconds,
    "command": program.program_seconds,
}


def measure(network: Network, images: Tensor, settings: Settings) -> Sequence[float]:
    """Return the seconds of each measured pass; a program of the user's own returns one.

    Args:
        network: Network in eval mode, which is left unchanged.
        images: (N, C, H, W) float32, zeros, on the device of the network.
        settings: What to measure, and how.

    Raises:
        ScoreUndefined: The program gave no duration, in all attempts.
        UserError: The settings contradict each other; a package is missing; the program is not allowed.
    """
    return _MEASURES[settings.runtime](network, images, settings)


__all__ = ["Precision", "Runtime", "Settings", "conflict", "measure"]
