"""Asynchronous successive halving, the variant that stops and never promotes."""

from zenfront.pipeline.schedulers._rungs import WORST, cutoff, milestones, worth
from zenfront.pipeline.schedulers._scheduler import TrainingBudget


class Asha:
    """A run that reaches a rung is compared with those that were there before it: it goes on, or is stopped.

    It is stopped if its value is below the (1 - 1 / reduction_factor) quantile of the earlier ones; a tie with the
    quantile goes on, and so does the first at a rung. Nothing waits for anything: no worker idles, and the result
    depends on the order in which runs arrive. Feed the runs in random order: fed best-first, all but the first are
    stopped. A run that fails is recorded as the worst at the rung that it was on its way to.

    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, arXiv:1810.05934, in the
    stopping variant of Ray Tune's `AsyncHyperBandScheduler` with one bracket. Deviations from Ray: a value counts
    only at its own rung (epoch == milestone), what is not finite stops, the last epoch is no rung, and rounding
    does not break a tie.
    """

    def __init__(self, budget: TrainingBudget) -> None:
        self._epochs = budget.epochs
        self._factor = budget.reduction_factor
        rungs = milestones(budget.grace_period, budget.reduction_factor, budget.epochs)
        self._rungs: dict[int, list[float]] = {milestone: [] for milestone in rungs}
        self._limits: dict[str, int] = {}
        self.stopped: dict[str, str] = {}

    def report(self, trial: str, epoch: int, value: float | None) -> None:
        """Records the value if the run has just reached a rung or failed, and decides."""
        if trial in self.stopped:
            return
        worthy = worth(value)
        if worthy == WORST:
            self._stop(trial, epoch, f"epoch {epoch}: no finite value")
            epoch = min((milestone for milestone in self._rungs if milestone >= epoch), default=self._epochs)
        if epoch not in self._rungs:
            return
        enough = cutoff(self._rungs[epoch], self._factor)
        self._rungs[epoch].append(worthy)
        if WORST < worthy < enough:
            self._stop(trial, epoch, f"rung {epoch}: {worthy:.4g} < {enough:.4g}")

    def limit(self, trial: str) -> int:
        """All epochs, until the run is stopped."""
        return self._limits.get(trial, self._epochs)

    def _stop(self, trial: str, epoch: int, reason: str) -> None:
        self.stopped[trial] = reason
        self._limits[trial] = epoch


SCHEDULER = Asha
