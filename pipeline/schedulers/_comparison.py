"""Comparison of the runs at a rung: by non-dominated rank in (value, costs), then by spread within the rank."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zenfront.pipeline.pareto import cost_axis, dominance_ranks, positive_columns
from zenfront.pipeline.schedulers._scheduler import TrainingBudget

Spread = Callable[[np.ndarray], np.ndarray]
"""Losses (n, m) of the runs of one rank -> their places (n,), the lowest first; equal rows get equal places."""
Key = tuple[int, float]
TIE = 1e-9
"""A value this close to an interpolated one is equal to it: shares of images differ by more, rounding by less."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs that were at a rung, compared.

    Run a dominates run b if no cost of a is higher than that of b, and either a cost of a is lower and its value is
    not lower, or all costs are equal and its value is higher. With a number of validation images, a value that is
    lower by less than its binomial standard error sqrt(p (1 - p) / images) is not lower.

    The relation has no cycle: along it no cost rises, and the value rises where the costs stay. With the tolerance it
    is not transitive, as "equal within the noise" is not; `dominance_ranks` is defined all the same. A run is on the
    front, rank 1, unless a run *on the front* dominates it, so that of many small steps in value some stay on the
    front. A run that dominates another one without the tolerance always has the lower rank.

    Attributes:
        names: (n,), names of the runs.
        losses: (n, 1 + c), lower is better: the negative value, infinite for a run without a finite value, and the
            costs, as logarithms where all runs of the budget have a positive one.
        dominates: (n, n) bool; ``[i, j]``: run i dominates run j. A run without a finite value dominates none.
        ranks: (n,), non-dominated rank from 1; n + 1 for a run without a finite value.
        spread: Orders the runs of one rank.
        sign: Factor from a value to the number that messages show.
    """

    names: tuple[str, ...]
    losses: np.ndarray
    dominates: np.ndarray
    ranks: np.ndarray
    spread: Spread
    sign: int = 1

    @cached_property
    def keys(self) -> list[Key]:
        """Rank and place within the rank (n,): the lowest is the best, equal keys are a tie."""
        places = np.zeros(len(self.names))
        for rank in np.unique(self.ranks):
            rows = np.flatnonzero(self.ranks == rank)
            if rank <= len(self.names):
                places[rows] = self.spread(self.losses[rows])
        return [(int(rank), float(place)) for rank, place in zip(self.ranks, places, strict=True)]

    @cached_property
    def order(self) -> list[int]:
        """Indices of the runs, the best first; a tie goes to the name that sorts first."""
        return sorted(range(len(self.names)), key=lambda run: (self.keys[run], self.names[run]))

    @cached_property
    def extremes(self) -> list[list[int]]:
        """Indices of the extreme runs of the front: the best in each objective, several where they are equal.

        If runs tie in the objective, the best in the other ones is the extreme; the value comes first.
        """
        front = [run for run in self.order if self.ranks[run] == 1]
        return [self._best(front, objective) for objective in range(self.losses.shape[1] if front else 0)]

    def _best(self, runs: list[int], objective: int) -> list[int]:
        rows = [(self.losses[run, objective], *self.losses[run]) for run in runs]
        return [run for run, row in zip(runs, rows, strict=True) if row == min(rows)]

    def is_finite(self, run: int) -> bool:
        """Whether a run has a finite value."""
        return bool(np.isfinite(self.losses[run, 0]))

    def is_behind_point_between(self, run: int, low: int, high: int, share: float) -> bool:
        """Whether the point at a share in (0, 1) of the way from run `low` to run `high` dominates a run.

        Value and costs on their axis are interpolated. Values that differ by at most `TIE` are equal.
        """
        behind = self.losses[run] - (self.losses[low] + (self.losses[high] - self.losses[low]) * share)
        behind[0] = behind[0] if abs(behind[0]) > TIE else 0.0
        return bool((behind >= 0).all() and (behind > 0).any())

    def reason(self, run: int, limit: str) -> str:
        """Return why a run is stopped: its rank, its place, the limit, and a run that dominates or stands beside it."""
        place = self.order.index(run)
        ahead = [other for other in self.order[:place] if self.ranks[other] == self.ranks[run]]
        better = [other for other in self.order[:place] if self.dominates[other, run]]
        other = better[0] if better else min(ahead, key=lambda other: self._distance(run, other))
        relation = "dominates it" if better else "stands beside it"
        compared = f"{-self.sign * self.losses[other, 0]:.4g} against {-self.sign * self.losses[run, 0]:.4g}"
        standing = f"rank {self.ranks[run]}, number {place + 1} of {len(self.names)}, {limit}"
        return f"{standing}; {self.names[other]} {relation} ({compared})"

    def _distance(self, run: int, other: int) -> float:
        """Return the distance of two runs, every loss scaled over the runs of the rank."""
        span = np.ptp(self.losses[self.ranks == self.ranks[run]], axis=0)
        return math.hypot(*(self.losses[run] - self.losses[other]) / np.where(span > 0, span, 1.0))


def compare(values: Mapping[str, float], budget: TrainingBudget, spread: Spread) -> Comparison:
    """Compare runs.

    Args:
        values: Value of each run by its name, higher is better; -inf where it is not finite.
        budget: Has the costs of the runs, and the number of images behind a value.
        spread: Orders the runs of one rank.
    """
    value = np.array(list(values.values()), dtype=np.float64)
    every_cost = np.array([budget.costs.get(name, ()) for name in budget.trials], dtype=np.float64)
    row = {name: index for index, name in enumerate(budget.trials)}
    rows = [row[name] for name in values]
    costs = every_cost[rows]
    dominates = dominance(value, costs, budget.validation_images)
    ranks = dominance_ranks(dominates, np.lexsort([-value, *costs.T[::-1]]))
    ranks = np.where(np.isfinite(value), ranks, len(value) + 1)
    losses = np.column_stack([-value, cost_axis(costs, positive_columns(every_cost))])
    return Comparison(tuple(values), losses, dominates, ranks, spread, budget.sign)


def dominance(values: np.ndarray, costs: np.ndarray, images: int | None) -> np.ndarray:
    """Return which run dominates which, (n, n) bool, as `Comparison` defines it.

    Args:
        values: (n,), higher is better; -inf where it is not finite.
        costs: (n, c), lower is better; c may be 0.
        images: Number of images behind a value, which is then a share in [0, 1]; None: every difference counts.
    """
    finite = np.isfinite(values)
    share = np.clip(values, 0.0, 1.0)
    noise = np.zeros(len(values)) if images is None else np.sqrt(share * (1 - share) / images)
    higher = values[:, None] > values[None, :]
    behind = values[None, :] - np.where(finite, values, 0.0)[:, None]
    not_lower = higher | (values[:, None] == values[None, :]) | (behind < noise[:, None])
    cost_not_higher = (costs[:, None, :] <= costs[None, :, :]).all(2)
    cost_lower = (costs[:, None, :] < costs[None, :, :]).any(2)
    return np.asarray(finite[:, None] & cost_not_higher & np.where(cost_lower, not_lower, higher))
