"""What a scheduler is: a pure function of the sequence of reports. It knows nothing of Ray, time or workers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class TrainingBudget:
    """What a scheduler shares out.

    Attributes:
        trials: Names of all training runs that it compares, in any order.
        epochs: Of a run that is not stopped.
        grace_period: Epochs before a run can be stopped: the first rung.
        reduction_factor: One in so many goes on from rung to rung, and the rungs' epochs grow by it; > 1.
    """

    trials: tuple[str, ...]
    epochs: int
    grace_period: int
    reduction_factor: float


class Scheduler(Protocol):
    """Decides how far each run may train.

    After a crash the recorded reports are given to a new scheduler in the order of the record; every decision is
    then taken again as it was.
    """

    def report(self, trial: str, epoch: int, value: float | None) -> None:
        """Takes note of a run.

        Args:
            trial: Its name.
            epoch: Epochs completed, from 1; every epoch is reported once and in order. With a failure: the epoch
                in which it ended.
            value: Higher is better; None (the run has failed), NaN and infinities count as worse than all others.
        """

    def limit(self, trial: str) -> int:
        """Up to which epoch the run may train as of now. A run that has got there rests, or is stopped for good."""

    @property
    def stopped(self) -> Mapping[str, str]:
        """Why a run does not go on, by its name."""


MakeScheduler = Callable[[TrainingBudget], Scheduler]
