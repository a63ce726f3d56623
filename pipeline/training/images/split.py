"""Stratified splits of labelled data."""

import numpy as np


def stratified(
    labels: np.ndarray,
    count: int,
    generator: np.random.Generator,
    *,
    draw_each: bool = False,
    leave_each: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` of N items, each class in proportion to its size.

    The r-th of the n items of a class, in random order, gets the position (r + u) / n with one u per class, uniform in
    [0, 1). The `count` items with the lowest positions are drawn. Each class thus contributes its share of `count` to
    within one item.

    Args:
        labels: Classes (N,) of the items.
        count: Number of items to draw, 0 .. N.
        generator: Source of all randomness.
        draw_each: Draw at least one item of each class, if need be more than `count`.
        leave_each: Leave at least one item of each class undrawn, which is the only one of some classes.

    Returns:
        Indices (count,) of the items drawn and indices (N - count,) of the others, both ascending.
    """
    position = np.empty(len(labels))
    first, last = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        position[members] = (np.arange(len(members)) + generator.random()) / len(members)
        first[members[0]] = draw_each and not (leave_each and len(members) == 1)
        last[members[-1]] = leave_each
    position[first], position[last] = -1, 2  # before and after all others; these are the ends of their classes anyway
    count = int(np.clip(count, first.sum(), len(labels) - last.sum()))
    order = np.argsort(position, kind="stable")
    return np.sort(order[:count]), np.sort(order[count:])
