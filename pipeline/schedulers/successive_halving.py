"""Synchronous successive halving: the same result for any number of workers and any order of arrival."""

from zenfront.pipeline.schedulers._rungs import WORST, milestones, survivors, worth
from zenfront.pipeline.schedulers._scheduler import TrainingBudget


class SuccessiveHalving:
    """Every run rests at a rung until all are there or have failed; then the best go on and the rest is stopped.

    Of the n runs that set out for a rung, failed ones included, the best ceil(n / reduction_factor) that have a
    value go on; ties go to the name that sorts first. A decision needs all values of its rung and nothing else, so
    it cannot depend on when they arrive. The price is that workers idle while the last run of a rung is trained.

    Source: Jamieson and Talwalkar, AISTATS 2016, arXiv:1502.07943, alg. 1; deviation: rungs by epochs completed
    (grace_period * reduction_factor ** k), and the last survivors train to the end.
    """

    def __init__(self, budget: TrainingBudget) -> None:
        self._factor = budget.reduction_factor
        self._stations = [*milestones(budget.grace_period, budget.reduction_factor, budget.epochs), budget.epochs]
        self._field = list(budget.trials)
        self._values: dict[str, float] = {}
        self._limits: dict[str, int] = {}
        self.stopped: dict[str, str] = {}

    def report(self, trial: str, epoch: int, value: float | None) -> None:
        """Records the value if the run has reached the rung or failed; halves the field if it was the last."""
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
        """The rung that the field is on its way to, until the run is stopped."""
        return self._limits.get(trial, self._stations[0])

    def _halve(self) -> None:
        rung = self._stations.pop(0)
        ranked = sorted(self._field, key=lambda trial: (-self._values[trial], trial))
        count = survivors(len(ranked), self._factor)
        for place, trial in enumerate(ranked[count:], start=count + 1):
            if trial not in self.stopped:
                reason = f"rung {rung}: {self._values[trial]:.4g} is number {place} of {len(ranked)}, {count} go on"
                self._stop(trial, rung, reason)
        self._field = [trial for trial in ranked[:count] if trial not in self.stopped]
        self._values = {}

    def _stop(self, trial: str, epoch: int, reason: str) -> None:
        self.stopped[trial] = reason
        self._limits[trial] = epoch


SCHEDULER = SuccessiveHalving
