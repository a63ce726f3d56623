"""The architecture that trains on each mini-batch."""

from collections.abc import Sequence

from zenfront.pipeline.seeds import numpy_generator


def child_order(kind: str, indices: Sequence[int], seed: int, cycle: int) -> list[int]:
    """Return which architectures take the mini-batches of one cycle, each cycle as long as there are architectures.

    Args:
        kind: ``fixed``: the same permutation in each cycle; ``shuffled``: a new one for each; ``random``: each drawn by
            itself, so that some are drawn several times and some not at all.
        indices: Indices of the architectures.
        seed: Seed of the orders.
        cycle: Number of the cycle, from 0.

    Source: Zhang et al., 2020, arXiv:2001.01431, sec. 4: different orders, and orders shuffled.
    """
    generator = numpy_generator(seed, "child order", kind, "" if kind == "fixed" else str(cycle))
    if kind == "random":
        return [indices[place] for place in generator.integers(len(indices), size=len(indices))]
    return [indices[place] for place in generator.permutation(len(indices))]
