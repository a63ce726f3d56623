"""Random seeds derived from names, independent of order and time."""

import hashlib
import random  # noqa: TID251 - for the code of users

import numpy as np
import torch


def seed_for(root: int, *names: str) -> int:
    """Return a seed in [0, 2**63) that depends on the root seed and the names alone.

    Args:
        root: Seed of the experiment.
        names: Names of the purpose, e.g. the id of an architecture and the name of a proxy.
    """
    text = "\x1f".join([str(root), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(root: int, *names: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator seeded with `seed_for`."""
    return torch.Generator(device=device).manual_seed(seed_for(root, *names))


def numpy_generator(root: int, *names: str) -> np.random.Generator:
    """Return a NumPy generator seeded with `seed_for`."""
    return np.random.default_rng(seed_for(root, *names))


def seed_global_generators(seed: int) -> None:
    """Seed the generators that code of a user may draw from: of Python, NumPy and PyTorch, here and on the GPUs."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002, TID251
    torch.manual_seed(seed)  # noqa: TID251
