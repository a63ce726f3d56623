"""Where the networks are."""

import torch


def resolve(device: str) -> str:
    """``auto`` becomes the GPU where this process has one, else the CPU; other names stay."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"
