"""How much memory a piece of work takes at its peak, and how much of a GPU a worker may take."""

from contextlib import suppress
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_PEAK_ONLY = "5"
"""To /proc/self/clear_refs: sets the peak to what is resident now (proc(5))."""


def forget_peak(device: str) -> None:
    """Begins anew: `peak` is then of what comes.

    Args:
        device: ``cpu`` or ``cuda``.
    """
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    else:
        with suppress(OSError):  # no Linux, or a container that forbids it
            _CLEAR.write_text(_PEAK_ONLY)


def peak(device: str) -> int | None:
    """Bytes at the highest since `forget_peak`, with all that was there before; None where nobody tells.

    Args:
        device: ``cuda``: what PyTorch has allocated there; ``cpu``: resident memory of this process.
    """
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)


def keep_to_share(gpus: float) -> None:
    """Lets this process have that share of its GPU's memory: who wants more fails itself, and not its neighbours."""
    if 0 < gpus < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(gpus)
