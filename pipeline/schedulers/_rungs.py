"""The arithmetic of rungs: their epochs, how many runs go on, and where a quantile lies.

Floating point is rounded at nine digits where it would move a rung by an epoch or a quantile off a run.
"""

import math

WORST = -math.inf


def milestones(grace_period: int, reduction_factor: float, epochs: int) -> tuple[int, ...]:
    """Return the epochs of the rungs, ascending: grace_period * reduction_factor ** k, rounded up, below `epochs`."""
    rungs: list[int] = []
    exact: float = grace_period
    while (milestone := math.ceil(round(exact, 9))) < epochs:
        if milestone not in rungs:
            rungs.append(milestone)
        exact *= reduction_factor
    return tuple(rungs)


def worth(value: float | None) -> float:
    """Return the value for comparing: one that is not finite is the worst."""
    return value if value is not None and math.isfinite(value) else WORST


def survivors(count: int, reduction_factor: float) -> int:
    """Return how many of `count` runs go on: ceil(count / reduction_factor)."""
    return math.ceil(round(count / reduction_factor, 9))


def quantile_position(count: int, reduction_factor: float) -> tuple[int, float]:
    """Return where the (1 - 1 / reduction_factor) quantile of `count` >= 1 runs lies, sorted from the worst.

    Returns:
        Index of the run at or below the quantile, and the share in [0, 1) of the way to the next run.
    """
    position = (count - 1) * (1 - 1 / reduction_factor)
    if abs(position - round(position)) < 1e-9:
        return round(position), 0.0
    return math.floor(position), position - math.floor(position)
