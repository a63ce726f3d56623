"""The device that networks run on."""

from contextlib import AbstractContextManager, nullcontext

import torch


def resolve(device: str) -> str:
    """Resolve ``auto`` to ``cuda`` if this process has a GPU, else to ``cpu``; return other names unchanged."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def deterministic_algorithms(device: str, *, tf32: bool = True) -> AbstractContextManager[None]:
    """Return a context in which cuDNN chooses algorithms whose results are the same bits every time on one GPU.

    Args:
        device: Name of the device; on a CPU the context changes nothing.
        tf32: Whether convolutions may round float32 inputs to the 10 bits of TF32, as PyTorch does unless it is told
            otherwise. Matrix products are in float32 either way.
    """
    if not device.startswith("cuda"):
        return nullcontext()
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32
    )
    return flags
