"""The arithmetic of rungs: where they are, how many go on, and what is good enough.

Floating point is rounded away at nine digits where it would move a rung by an epoch or break a tie.
"""

import math
from collections.abc import Sequence

WORST = -math.inf


def milestones(grace_period: int, reduction_factor: float, epochs: int) -> tuple[int, ...]:
    """The rungs' epochs, ascending: grace_period * reduction_factor ** k, rounded up, below `epochs`."""
    rungs: list[int] = []
    exact: float = grace_period
    while (milestone := math.ceil(round(exact, 9))) < epochs:
        if milestone not in rungs:
            rungs.append(milestone)
        exact *= reduction_factor
    return tuple(rungs)


def worth(value: float | None) -> float:
    """The value for comparing: what is not finite is the worst."""
    return value if value is not None and math.isfinite(value) else WORST


def survivors(count: int, reduction_factor: float) -> int:
    """How many of `count` go on: ceil(count / reduction_factor)."""
    return math.ceil(round(count / reduction_factor, 9))


def cutoff(values: Sequence[float], reduction_factor: float) -> float:
    """The (1 - 1 / reduction_factor) quantile of the values, interpolated linearly; -inf without values.

    Where the interpolation would lie between the worst and a finite value, the worst.
    """
    if not values:
        return WORST
    ordered = sorted(values)
    position = round((len(ordered) - 1) * (1 - 1 / reduction_factor), 9)
    below = math.floor(position)
    low = ordered[below]
    if position == below or low == WORST:
        return low
    return low + (ordered[below + 1] - low) * (position - below)
