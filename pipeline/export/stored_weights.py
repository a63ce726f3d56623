"""The weights that a run has of one of its networks, and what belongs to them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.choice import nearest, why_untrained
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.record.copies.backup import storage_of
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Member
from zenfront.pipeline.results.stage_rows import TrainedRun, trial_name
from zenfront.pipeline.training import checkpoint
from zenfront.spaces import Network


@dataclass(frozen=True)
class StoredWeights:
    """Weights of a training run.

    Attributes:
        weights: Tensors by name, those that the metrics belong to: with an EMA the averaged ones.
        seed: Seed of the run.
        epochs: Completed epochs.
        metrics: Metrics of the last completed epoch.
        identity: What the run depended on.
    """

    weights: Mapping[str, Tensor]
    seed: int
    epochs: int
    metrics: Mapping[str, float]
    identity: Mapping[str, Any]

    def load_into(self, network: Network) -> Network:
        """Return the network, which may be on the meta device, with these weights, in evaluation mode on the CPU.

        Raises:
            UserError: They are the weights of another network.
        """
        if self.identity["network"] != hashlib.sha256(repr(network).encode()).hexdigest()[:16]:
            raise UserError(
                "the checkpoint is that of another network than the space builds now: the space has changed since the "
                "training. Use the version of Zenfront, or of your own space, that trained it."
            )
        try:
            network.to_empty(device="cpu").load_state_dict(self.weights)
        except RuntimeError as error:  # a training function can add modules to a network
            raise UserError(f"the weights do not fit the network, which the training has changed: {error}") from error
        return network.eval()


def final_run(record: RunRecord, member: Member, seed: int | None) -> TrainedRun:
    """Return the training run of a network whose weights are exported: one that was trained to the end and tested.

    Args:
        record: The run.
        member: Network of it.
        seed: Seed; None: that with the best validation metric.

    Raises:
        UserError: There is none.
    """
    runs, metric = record.runs_of(member.id), record.experiment.train.compared
    finished = [run for run in runs if run.test(metric.name) is not None]
    if not finished:
        raise UserError(_why_unfinished(record, member, runs))
    asked = [run for run in finished if seed in (None, run.seed)]
    if not asked:
        seeds = ", ".join(str(run.seed) for run in finished)
        raise UserError(f"{member.id} was not trained to the end with seed {seed}. Seeds: {seeds}.")
    return max(asked, key=lambda run: (metric.sign * (run.validation(metric.name) or 0.0), -run.seed))


def stored_weights(record: RunRecord, member: Member, seed: int, epochs: int) -> StoredWeights:
    """Return the weights of a training run after a number of epochs.

    Raises:
        UserError: Their checkpoint is not kept, is damaged or cannot be read.
    """
    folder = record.folder.checkpoints / trial_name(member.id, seed)
    path = folder / f"{epochs:06d}.pt"
    if not path.exists():
        _fetch(record, path)
    if not path.exists():
        raise UserError(f"{path} is missing. {_remedy(record, folder, epochs)}")
    stored = checkpoint.read(path)
    if stored is None:
        raise UserError(f"{path} is damaged. {_restore(record)}")
    state = stored["state"]
    metrics = state["history"][-1]["metrics"]
    return StoredWeights(checkpoint.evaluated_weights(state), seed, epochs, metrics, stored["identity"])


def _fetch(record: RunRecord, path: Path) -> None:
    """Fetch a checkpoint that workers on other machines have written to the storage, if there is one."""
    storage = storage_of(record.experiment, record.folder)
    if storage is None:
        return
    try:
        storage.download(f"{path.parent.parent.name}/{path.parent.name}/{path.name}", path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{path} is missing, and it cannot be fetched from {storage}: {error}.") from error


def _remedy(record: RunRecord, folder: Path, epochs: int) -> str:
    """Return what to do about a checkpoint that is not there."""
    kept = sorted(int(each.stem) for each in folder.glob("*.pt"))
    recorded = max((each.epoch for each in record.epochs if each.trial == folder.name and not each.failure), default=0)
    if epochs not in range(1, recorded + 1):
        return f"This network was trained for {recorded} epochs."
    if kept and epochs < kept[-1]:
        return f"The last two checkpoints of a training run are kept; here after {kept[0]} and {kept[-1]} epochs."
    return _restore(record)


def _restore(record: RunRecord) -> str:
    again = command("train", record.folder.path, record.experiment)
    return (
        f"Restore it from a copy; or delete {record.folder.trained.name} of the run and run {again}, which trains what "
        "is missing again, with the same result."
    )


def _why_unfinished(record: RunRecord, member: Member, runs: Sequence[TrainedRun]) -> str:
    """Return why a network has no final weights, and what to do."""
    path, untrained = record.folder.path, "or export it with fresh weights: --untrained"
    if reason := why_untrained(record):
        return f"{path}: {reason}, {untrained}."
    if not runs:
        trained = {run.architecture for run in record.trained}
        near = nearest(member.architecture, [each for each in record.shown if each.id in trained])
        hint = f" The nearest one that was is {near.id} ({near.notation})." if near else ""
        return f"{member.id} was not trained in {path}.{hint} Name one of {', '.join(sorted(trained))}, {untrained}."
    first = runs[0]
    reason = f" ({first.failure})" if first.failure else ""
    then = f"Export its weights of then with --at-rung {first.epochs}, " if first.epochs else "Name another one, "
    ended = f"{first.status} after {first.epochs} epochs{reason}"
    return f"{member.id} was {ended}, so it was never tested. {then}{untrained}."
