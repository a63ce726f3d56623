"""What a run folder holds, read whole: what the mirror and the report show."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.json_file import read_json
from zenfront.pipeline.record.ledger import read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results import Epoch


@dataclass(frozen=True)
class RunRecord:
    """One run, as far as it has come.

    Attributes:
        folder: Where it was read from.
        experiment: Of this run.
        generations: Rows of generations.jsonl, oldest first.
        front: Content of front.json; None before the selection.
        epochs: All epochs in the order of recording, each (trial, epoch) once.
        trials: Training runs of trained.json; none before the end of the training stage.
    """

    folder: RunFolder
    experiment: Experiment
    generations: list[dict[str, Any]]
    front: dict[str, Any] | None
    epochs: list[Epoch]
    trials: list[dict[str, Any]]

    @staticmethod
    def read(folder: RunFolder, experiment: Experiment | None = None) -> "RunRecord":
        """Reads what is there; a file that is missing is a stage that has not run.

        Args:
            folder: Of the run.
            experiment: If not the stored one: with other resources, tracking or cluster.

        Raises:
            UserError: The folder holds no run, or a record is damaged.
        """
        epochs = [Epoch.from_row(row) for row in read_ledger(folder.epochs)[0]]
        once = {(epoch.trial, epoch.epoch): epoch for epoch in reversed(epochs)}
        trained = _read_json(folder.trained)
        return RunRecord(
            folder,
            experiment or folder.experiment(),
            read_ledger(folder.generations)[0],
            _read_json(folder.front),
            [epoch for epoch in epochs if once[epoch.trial, epoch.epoch] is epoch],
            trained["trials"] if trained else [],
        )

    @property
    def members(self) -> list[dict[str, Any]]:
        """Members of the front."""
        return self.front["front"] if self.front else []

    def trials_of(self, architecture: str) -> list[dict[str, Any]]:
        """Training runs of an architecture, in the order of the experiment's seeds."""
        order = list(self.experiment.train.seeds)
        return sorted(
            (t for t in self.trials if t["architecture"] == architecture), key=lambda t: order.index(t["seed"])
        )

    def test_accuracies(self, architecture: str) -> list[float]:
        """Test accuracies of its finished training runs, one a seed."""
        found = [trial["test_accuracy"] for trial in self.trials_of(architecture)]
        return [accuracy for accuracy in found if accuracy is not None]

    def curves(self) -> Mapping[str, list[Epoch]]:
        """Epochs by trial."""
        curves: dict[str, list[Epoch]] = {}
        for epoch in self.epochs:
            curves.setdefault(epoch.trial, []).append(epoch)
        return curves


def _read_json(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.exists() else None
