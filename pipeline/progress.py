"""State of the work, as the stages report it and a view shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from zenfront.pipeline.results.metric import ACCURACY, Metric

Backend = Literal["ray", "serial"]
"""Place where the scores of a search are taken: Ray's workers, or this process."""
TrialState = Literal["waiting", "running", "stopped", "finished", "diverged", "failed"]


@dataclass(frozen=True)
class SearchProgress:
    """State of a search.

    Attributes:
        generation: Number of generations told so far.
        evaluations: Number of architectures scored, including those of an interrupted run that this one resumes.
        total: Number of architectures to score.
        rate: Architectures per second in this process; 0 until it is known.
        front: Number of members of the front of all feasible architectures so far; None if given ones are scored.
        hypervolume: Hypervolume of that front; None until it extends in every objective.
        best: Best feasible value of each objective, by its score's name.
        failures: Number of architectures that failed, by reason.
        infeasible: Number of architectures that a constraint excludes.
        seconds: Wall-clock seconds since this process began the search.
    """

    generation: int
    evaluations: int
    total: int
    rate: float
    front: int | None = 0
    hypervolume: float | None = None
    best: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    infeasible: int = 0
    seconds: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at this rate; None if the rate is unknown."""
        return (self.total - self.evaluations) / self.rate if self.rate > 0 else None


@dataclass(frozen=True)
class TrialProgress:
    """State of one training run.

    Attributes:
        trial: `results.trial_name` of the run.
        state: ``waiting``, ``running``, or the outcome: ``stopped`` by the scheduler, ``finished``, ``diverged``
            (the run ended itself) or ``failed`` (its worker died).
        epoch: Number of completed epochs.
        epochs: Number of epochs of a run that is not stopped.
        value: Value of the metric after the last completed epoch; None before the first.
        reason: Reason of the outcome: the decision of the rung, or the metric that diverged.
        metric: What the value is of.
        seconds_left: Seconds to the end of all runs; None if it is unknown.
    """

    trial: str
    state: TrialState
    epoch: int
    epochs: int
    value: float | None = None
    reason: str = ""
    metric: Metric = ACCURACY
    seconds_left: float | None = None


class View(Protocol):
    """Display of the work in progress. A view never raises."""

    def search(self, progress: SearchProgress) -> None:
        """Show the state of the search; call it as often as you like."""

    def trial(self, progress: TrialProgress) -> None:
        """Show the state of a training run."""

    def waiting(self, what: str) -> None:
        """Take note of what is waited for until the next state is shown; it is said if that takes long."""

    def notify(self, text: str) -> None:
        """Write one line that stays."""
