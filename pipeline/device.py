"""The device that networks run on."""

import torch


def resolve(device: str) -> str:
    """Resolve ``auto`` to ``cuda`` if this process has a GPU, else to ``cpu``; return other names unchanged."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"
