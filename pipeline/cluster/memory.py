"""Measure the peak memory of a piece of work, and cap the memory that a worker takes of its GPU."""

from contextlib import suppress
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_PEAK_ONLY = "5"
"""Written to /proc/self/clear_refs, it sets the peak to the memory that is resident now (proc(5))."""


def reset_peak(device: str) -> None:
    """Start a new measurement of `peak`.

    Args:
        device: ``cpu`` or ``cuda``.
    """
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    else:
        with suppress(OSError):  # not Linux, or a container that forbids it
            _CLEAR.write_text(_PEAK_ONLY)


def peak(device: str) -> int | None:
    """Return the peak memory in bytes since `reset_peak`, including earlier allocations.

    Args:
        device: ``cuda`` for the memory that PyTorch has allocated there; ``cpu`` for the resident memory of this
            process.

    Returns:
        The peak in bytes; None if the platform does not report it.
    """
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)


def cap_memory(gpus: float) -> None:
    """Cap this process at its share of the GPU's memory, so that a candidate that needs more fails alone.

    Args:
        gpus: The GPUs of this worker; there is no cap if it shares none.
    """
    if 0 < gpus < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(gpus)
