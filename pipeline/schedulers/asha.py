"""Asynchronous successive halving, the variant that stops and never promotes."""

from zenfront.pipeline.pareto import epsilon_net
from zenfront.pipeline.schedulers._comparison import Comparison, Spread, compare
from zenfront.pipeline.schedulers._rungs import WORST, milestones, quantile_position, worth
from zenfront.pipeline.schedulers._scheduler import TrainingBudget


class Asha:
    """A run that reaches a rung is compared with those that were there before it: it goes on, or is stopped.

    All runs that have been at the rung, itself included, are ordered by non-dominated rank in (value, costs), then by
    spread (`Comparison`). The run goes on if it is in the best 1 / reduction_factor: if it is not behind the
    (1 - 1 / reduction_factor) quantile of the earlier runs, which is interpolated between the two runs next to it.
    A run that stands between these two is stopped if the interpolated point dominates it. Ties go on, and so do the
    first run at a rung and the extremes of the rung's front: the most accurate, and the cheapest in each cost. Without
    costs the order is that of the values, and the rule is the interpolated quantile of the values.

    Nothing waits for anything: no worker idles, and the result depends on the order in which runs arrive. Feed the
    runs in random order: without costs and fed best-first, all but the first are stopped. A run that fails is
    recorded as the worst at the rung that it was on its way to. A run of a later round is compared with the runs of
    all rounds that were at the rung before it.

    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, arXiv:1810.05934, in the
    stopping variant of Ray Tune's `AsyncHyperBandScheduler` with one bracket; with costs after Schmucker et al.,
    Multi-objective Asynchronous Successive Halving, 2021, arXiv:2106.12639. Deviations from Ray: a value counts
    only at its own rung (epoch == milestone), a run without a finite value stops, the last epoch is no rung, and
    rounding does not break a tie. Deviations from Schmucker et al.: runs are stopped and not promoted, and the
    extremes go on.
    """

    def __init__(self, budget: TrainingBudget, spread: Spread = epsilon_net) -> None:
        self._budget = budget
        self._spread = spread
        rungs = milestones(budget.grace_period, budget.reduction_factor, budget.epochs)
        self._rungs: dict[int, dict[str, float]] = {milestone: {} for milestone in rungs}
        self._limits: dict[str, int] = {}
        self.stopped: dict[str, str] = {}

    def report(self, trial: str, epoch: int, value: float | None) -> None:
        """Record the value if the run has just reached a rung or failed, and decide."""
        if trial in self.stopped:
            return
        worthy = worth(value)
        if worthy == WORST:
            self._stop(trial, epoch, f"epoch {epoch}: no finite value")
            epoch = min((milestone for milestone in self._rungs if milestone >= epoch), default=self._budget.epochs)
        if epoch not in self._rungs:
            return
        self._rungs[epoch][trial] = worthy
        if worthy > WORST:
            found = compare(self._rungs[epoch], self._budget.known[trial], self._spread)
            if not _goes_on(found, self._budget.reduction_factor):
                limit = f"the best 1/{self._budget.reduction_factor:g} go on"
                self._stop(trial, epoch, f"rung {epoch}: {found.reason(len(found.names) - 1, limit)}")

    def limit(self, trial: str) -> int:
        """Return the number of all epochs, until the run is stopped."""
        return self._limits.get(trial, self._budget.epochs)

    def _stop(self, trial: str, epoch: int, reason: str) -> None:
        self.stopped[trial] = reason
        self._limits[trial] = epoch


def _goes_on(found: Comparison, reduction_factor: float) -> bool:
    """Whether the last of the compared runs goes on; the others are the earlier ones."""
    *earlier, own = range(len(found.names))
    if not earlier or any(own in extreme for extreme in found.extremes):
        return True
    ordered = sorted(earlier, key=lambda run: found.keys[run], reverse=True)
    below, share = quantile_position(len(earlier), reduction_factor)
    low = ordered[below]
    if share == 0 or not found.is_finite(low):
        return found.keys[own] <= found.keys[low]
    high = ordered[below + 1]
    if found.keys[own] <= found.keys[high]:
        return True
    return found.keys[own] <= found.keys[low] and not found.is_behind_point_between(own, low, high, share)


SCHEDULER = Asha
