"""Drawing from labelled data so that every class keeps its share."""

import numpy as np


def stratified(labels: np.ndarray, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws `count` of N items, each class in proportion to its size.

    In random order, the r-th of the n items of a class stands at (r + u) / n, u uniform in [0, 1) for each class;
    the first `count` are drawn. So a class gives its share of `count` to within one item.

    Args:
        labels: (N,) classes.
        count: 0 .. N.
        generator: Source of all randomness.

    Returns:
        The indices drawn, (count,), and the others, (N - count,); each ascending.
    """
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        position[members] = (np.arange(len(members)) + generator.random()) / len(members)
    order = np.argsort(position, kind="stable")
    return np.sort(order[:count]), np.sort(order[count:])
