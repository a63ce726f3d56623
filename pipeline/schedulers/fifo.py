"""No early stopping: every run is trained to the end."""

from collections.abc import Mapping

from zenfront.pipeline.schedulers._scheduler import TrainingBudget


class Fifo:
    """First in, first out; never stops a run."""

    def __init__(self, budget: TrainingBudget) -> None:
        self._epochs = budget.epochs
        self.stopped: Mapping[str, str] = {}

    def report(self, trial: str, epoch: int, value: float | None) -> None:
        """Ignore the epoch."""

    def limit(self, trial: str) -> int:
        """Return the number of all epochs."""
        return self._epochs


SCHEDULER = Fifo
