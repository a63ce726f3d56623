"""Synchronous successive halving: the same result for any number of workers and any order of arrival."""

from collections.abc import Sequence
from dataclasses import dataclass, field

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

    With rounds, each round is halved by itself, but its runs are compared with all that the rounds before have shown
    at the rung: a run goes on only if it is also among the first ceil(N / reduction_factor) of all N compared runs, or
    an extreme of their common front. A round that is worse than what is known therefore ends at its first rung, and
    one that is better costs no more than a halving of its own.

    A decision needs all values of its rung and nothing else, so it cannot depend on when they arrive. The price is
    that workers idle while the last run of a rung is trained.

    Source: Jamieson and Talwalkar, AISTATS 2016, arXiv:1502.07943, alg. 1. Deviations: rungs by epochs completed
    (grace_period * reduction_factor ** k), the last survivors train to the end, and runs are compared by their costs
    as well, as by Schmucker et al., 2021, arXiv:2106.12639.
    """

    def __init__(self, budget: TrainingBudget, spread: Spread = epsilon_net) -> None:
        self._budget = budget
        self._spread = spread
        stations = (*milestones(budget.grace_period, budget.reduction_factor, budget.epochs), budget.epochs)
        rounds = [_Round(sorted(names), list(stations)) for names in budget.rounds or (budget.trials,)]
        self._rounds = {trial: each for each in rounds for trial in each.runs}
        self._seen: dict[int, dict[str, float]] = {station: {} for station in stations}
        self._limits: dict[str, int] = {}
        self.stopped: dict[str, str] = {}

    def report(self, trial: str, epoch: int, value: float | None) -> None:
        """Record the value if the run has reached the rung or failed; halve the field if it was the last."""
        if trial in self.stopped:
            return
        worthy, own = worth(value), self._rounds[trial]
        if worthy == WORST:
            self._stop(trial, epoch, f"epoch {epoch}: no finite value")
        if worthy == WORST or epoch == own.stations[0]:
            own.values[trial] = worthy
        if len(own.stations) > 1 and len(own.values) == len(own.runs):
            self._halve(own)

    def limit(self, trial: str) -> int:
        """Return the rung that the field is on its way to, until the run is stopped."""
        return self._limits.get(trial, self._rounds[trial].stations[0])

    def _halve(self, own: "_Round") -> None:
        rung = own.stations.pop(0)
        seen = self._seen[rung]
        seen |= {trial: own.values[trial] for trial in own.runs}
        found = compare(seen, self._budget.known[own.runs[0]], self._spread)
        kept = _kept(found, own.runs, self._budget.reduction_factor)
        limit = f"{len(kept)} of its round go on" if len(seen) > len(own.runs) else f"{len(kept)} go on"
        for run, trial in enumerate(found.names):
            if trial in own.values and run not in kept and trial not in self.stopped:
                self._stop(trial, rung, f"rung {rung}: {found.reason(run, limit)}")
        own.runs = [found.names[run] for run in sorted(kept)]
        own.values = {}

    def _stop(self, trial: str, epoch: int, reason: str) -> None:
        self.stopped[trial] = reason
        self._limits[trial] = epoch


@dataclass
class _Round:
    """Runs of one round that are on their way to the same rung.

    Attributes:
        runs: Their names.
        stations: Epochs of the rungs that are left, the next one first, and the last epoch.
        values: Value of each run that has arrived, or has failed.
    """

    runs: list[str]
    stations: list[int]
    values: dict[str, float] = field(default_factory=dict)


def _kept(found: Comparison, own: Sequence[str], reduction_factor: float) -> set[int]:
    """Return the indices of the runs of a round that go on.

    They are one run of each extreme, and the first in order, as many as the round may keep and no further down than the
    place to which all compared runs together would go on.
    """
    most, within = survivors(len(own), reduction_factor), survivors(len(found.names), reduction_factor)
    kept = {extreme[0] for extreme in found.extremes if found.names[extreme[0]] in own}
    for run in list(filter(found.is_finite, found.order))[:within]:
        if len(kept) < most and found.names[run] in own:
            kept.add(run)
    return kept


SCHEDULER = SuccessiveHalving
