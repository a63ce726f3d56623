"""No early stopping: every run is trained to the end."""

from collections.abc import Mapping

from zenfront.pipeline.schedulers._scheduler import TrainingBudget


class Fifo:
    """First in, first out; never stops."""

    def __init__(self, budget: TrainingBudget) -> None:
        self._epochs = budget.epochs
        self.stopped: Mapping[str, str] = {}

    def report(self, trial: str, epoch: int, value: float | None) -> None:
        """Takes no note."""

    def limit(self, trial: str) -> int:
        """Always all epochs."""
        return self._epochs


SCHEDULER = Fifo
