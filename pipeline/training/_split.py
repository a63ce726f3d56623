"""Stratified splits of labelled data."""

import numpy as np


def stratified(labels: np.ndarray, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` of N items, each class in proportion to its size.

    The r-th of the n items of a class, in random order, gets the position (r + u) / n with one u per class, uniform in
    [0, 1). The `count` items with the lowest positions are drawn. Each class thus contributes its share of `count` to
    within one item.

    Args:
        labels: Classes (N,) of the items.
        count: Number of items to draw, 0 .. N.
        generator: Source of all randomness.

    Returns:
        Indices (count,) of the items drawn and indices (N - count,) of the others, both ascending.
    """
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        position[members] = (np.arange(len(members)) + generator.random()) / len(members)
    order = np.argsort(position, kind="stable")
    return np.sort(order[:count]), np.sort(order[count:])
