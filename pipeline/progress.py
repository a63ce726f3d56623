"""The state of the work, as the stages report it and a view shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

TrialState = Literal["waiting", "running", "stopped", "finished", "diverged", "failed"]


@dataclass(frozen=True)
class SearchProgress:
    """Where a search stands.

    Attributes:
        generation: Generations told so far.
        evaluations: Architectures scored, with those of an interrupted run that this one goes on with.
        total: Architectures to score in all.
        rate: Architectures per second, of this run; 0 as long as it is unknown.
        front: Members of the front of all feasible architectures so far.
        hypervolume: Of that front; None as long as there is no reference point.
        best: The best feasible value of each objective, by its score's name.
        failures: How many architectures failed, by reason.
        infeasible: How many a constraint excludes.
        seconds: Wall-clock seconds since this run began.
    """

    generation: int
    evaluations: int
    total: int
    rate: float
    front: int = 0
    hypervolume: float | None = None
    best: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    infeasible: int = 0
    seconds: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at this rate; None where the rate is unknown."""
        return (self.total - self.evaluations) / self.rate if self.rate > 0 else None


@dataclass(frozen=True)
class TrialProgress:
    """Where one training run stands.

    Attributes:
        trial: ``<architecture id>-<seed>``.
        state: ``waiting``, ``running``, or how it ended: ``stopped`` by the scheduler, ``finished``,
            ``diverged`` (ended itself), ``failed`` (its worker died).
        epoch: Completed epochs.
        epochs: Epochs of a run that is not stopped.
        val_accuracy: Of the last completed epoch, a fraction; None before the first.
        reason: Why it ended: the rung's decision, or what diverged.
    """

    trial: str
    state: TrialState
    epoch: int
    epochs: int
    val_accuracy: float | None = None
    reason: str = ""


class View(Protocol):
    """Shows the work while it goes on. A view never raises."""

    def search(self, progress: SearchProgress) -> None:
        """Show the state of the search; call it as often as you like."""

    def trial(self, progress: TrialProgress) -> None:
        """Show the state of a training run."""

    def notify(self, text: str) -> None:
        """Write one line that stays."""
