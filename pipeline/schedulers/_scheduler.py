"""The interface of a scheduler: a pure function of the sequence of reports, without Ray, time or workers."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol


@dataclass(frozen=True)
class TrainingBudget:
    """The runs and epochs that a scheduler distributes.

    Attributes:
        trials: Names of all training runs that it compares, in any order.
        epochs: Number of epochs of a run that is not stopped.
        grace_period: Number of epochs before a run can be stopped: the first rung.
        reduction_factor: One in this many runs goes on from rung to rung, and the epochs of the rungs grow by this
            factor; > 1.
        costs: Costs of each run by its name, the same number for all, finite, lower is better, known before the
            training. Empty: the runs are compared by their value alone.
        validation_images: Number of images behind a value, which is then a share in [0, 1]: a difference between two
            values below the binomial standard error is no difference, where the costs differ. None: every difference
            counts.
        rounds: The same runs by round: those of a round set out when all runs of the rounds before have ended. Empty:
            all set out together.
        sign: -1 if the values that are reported are those of a metric of which less is better, times -1; for messages.

    Raises:
        ValueError: A run has no costs while others have, the numbers of costs differ, a cost is not finite,
            `validation_images` is not positive, or the rounds do not hold each run once.
    """

    trials: tuple[str, ...]
    epochs: int
    grace_period: int
    reduction_factor: float
    costs: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    validation_images: int | None = None
    rounds: tuple[tuple[str, ...], ...] = ()
    sign: int = 1

    def __post_init__(self) -> None:
        if self.rounds and sorted(trial for names in self.rounds for trial in names) != sorted(self.trials):
            raise ValueError(f"the rounds must hold each of the runs once, but got {self.rounds} for {self.trials}")
        if self.costs and (missing := sorted(set(self.trials) - set(self.costs))):
            raise ValueError(f"every run must have costs, but {missing[0]} has none")
        if len(counts := sorted({len(self.costs[trial]) for trial in self.trials if self.costs})) > 1:
            raise ValueError(f"all runs must have the same number of costs, but got {counts}")
        for trial in self.trials if self.costs else ():
            if not all(map(math.isfinite, self.costs[trial])):
                raise ValueError(f"costs must be finite, but {trial} has {self.costs[trial]}")
        if self.validation_images is not None and self.validation_images < 1:
            raise ValueError(f"`validation_images >= 1` must hold, but got {self.validation_images}")

    @cached_property
    def known(self) -> dict[str, "TrainingBudget"]:
        """The budget that a decision about a run knows, by name: with the runs of its round and of those before."""
        found: dict[str, TrainingBudget] = {}
        for names in self.rounds or (self.trials,):
            budget = replace(self, trials=(*found, *names), rounds=()) if self.rounds else self
            found |= dict.fromkeys(names, budget)
        return found


class Scheduler(Protocol):
    """Decides how far each run may train.

    After a crash the recorded reports are given to a new scheduler in the order of the record; every decision is
    then taken again as it was.
    """

    def report(self, trial: str, epoch: int, value: float | None) -> None:
        """Take note of an epoch of a run.

        Args:
            trial: Name of the run.
            epoch: Number of epochs completed, from 1; every epoch is reported once and in order. With a failure: the
                epoch in which the run ended.
            value: Higher is better; None (the run has failed), NaN and infinities count as worse than all others.
        """

    def limit(self, trial: str) -> int:
        """Return the epoch up to which the run may train as of now. There it rests, or is stopped for good."""

    @property
    def stopped(self) -> Mapping[str, str]:
        """The reason why a run does not go on, by its name."""


MakeScheduler = Callable[[TrainingBudget], Scheduler]
