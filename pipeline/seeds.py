"""Randomness from names, never from order or time."""

import hashlib

import numpy as np
import torch


def seed_for(root: int, *names: str) -> int:
    """A seed in [0, 2**63) that depends on the root seed and the names alone.

    Args:
        root: The experiment's seed.
        names: What the randomness is for, e.g. an architecture's id and a proxy's name.
    """
    text = "\x1f".join([str(root), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(root: int, *names: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator seeded by `seed_for`."""
    return torch.Generator(device=device).manual_seed(seed_for(root, *names))


def numpy_generator(root: int, *names: str) -> np.random.Generator:
    """A NumPy generator seeded by `seed_for`."""
    return np.random.default_rng(seed_for(root, *names))
