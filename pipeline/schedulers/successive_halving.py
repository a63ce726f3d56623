"""Synchronous successive halving: the same result for any number of workers and any order of arrival."""

from zenfront.pipeline.pareto import epsilon_net
from zenfront.pipeline.schedulers._comparison import Comparison, Spread, compare
from zenfront.pipeline.schedulers._rungs import WORST, milestones, survivors, worth
from zenfront.pipeline.schedulers._scheduler import TrainingBudget


class SuccessiveHalving:
    """Every run rests at a rung until all are there or have failed; then the best go on and the rest is stopped.

    The runs at a rung are ordered by non-dominated rank in (value, costs), then by spread, then by name
    (`Comparison`). Of the n runs that set out for the rung, failed ones included, ceil(n / reduction_factor) that
    have a value go on: the extremes of the rung's front (the most accurate, and the cheapest in each cost), and the
    first in this order. The extremes go on even if they are more than that. Without costs the order is that of the
    values.

    A decision needs all values of its rung and nothing else, so it cannot depend on when they arrive. The price is
    that workers idle while the last run of a rung is trained.

    Source: Jamieson and Talwalkar, AISTATS 2016, arXiv:1502.07943, alg. 1. Deviations: rungs by epochs completed
    (grace_period * reduction_factor ** k), the last survivors train to the end, and runs are compared by their costs
    as well, as by Schmucker et al., 2021, arXiv:2106.12639.
    """

    def __init__(self, budget: TrainingBudget, spread: Spread = epsilon_net) -> None:
        self._budget = budget
        self._spread = spread
        self._stations = [*milestones(budget.grace_period, budget.reduction_factor, budget.epochs), budget.epochs]
        self._field = sorted(budget.trials)
        self._values: dict[str, float] = {}
        self._limits: dict[str, int] = {}
        self.stopped: dict[str, str] = {}

    def report(self, trial: str, epoch: int, value: float | None) -> None:
        """Record the value if the run has reached the rung or failed; halve the field if it was the last."""
        if trial in self.stopped:
            return
        worthy = worth(value)
        if worthy == WORST:
            self._stop(trial, epoch, f"epoch {epoch}: no finite value")
        if worthy == WORST or epoch == self._stations[0]:
            self._values[trial] = worthy
        if len(self._stations) > 1 and len(self._values) == len(self._field):
            self._halve()

    def limit(self, trial: str) -> int:
        """Return the rung that the field is on its way to, until the run is stopped."""
        return self._limits.get(trial, self._stations[0])

    def _halve(self) -> None:
        rung = self._stations.pop(0)
        found = compare({trial: self._values[trial] for trial in self._field}, self._budget, self._spread)
        kept = _kept(found, survivors(len(self._field), self._budget.reduction_factor))
        for run, trial in enumerate(found.names):
            if run not in kept and trial not in self.stopped:
                self._stop(trial, rung, f"rung {rung}: {found.reason(run, f'{len(kept)} go on')}")
        self._field = [found.names[run] for run in sorted(kept)]
        self._values = {}

    def _stop(self, trial: str, epoch: int, reason: str) -> None:
        self.stopped[trial] = reason
        self._limits[trial] = epoch


def _kept(found: Comparison, count: int) -> set[int]:
    """Return the indices of the runs that go on: one run of each extreme, and the first in order up to `count`."""
    kept = {extreme[0] for extreme in found.extremes}
    for run in filter(found.is_finite, found.order):
        if len(kept) < count:
            kept.add(run)
    return kept


SCHEDULER = SuccessiveHalving
