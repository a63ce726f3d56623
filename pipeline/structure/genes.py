"""The genes of an architecture as numbers."""

import numpy as np

from zenfront.spaces import Architecture, Space


def gene_row(space: Space, architecture: Architecture) -> np.ndarray:
    """Return the genes as numbers (d,) in [0, 1]: a scaled level where levels are ordered, else one column a category.

    The columns depend on the space alone.
    """
    row: list[float] = []
    for level, levels in zip(space.encode(architecture), space.levels.values(), strict=True):
        last = levels.drawn - 1
        row += (
            [min(level / last, 1.0) if last else 0.0]
            if levels.ordered
            else [float(level == i) for i in range(last + 1)]
        )
    return np.array(row)
