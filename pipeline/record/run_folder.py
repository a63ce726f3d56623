"""Folder of one run: the files that one stage hands to the next."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import Any

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.earlier_versions import as_stored, completed, continued
from zenfront.pipeline.experiment.own_places import named_places, own_places, with_own_places
from zenfront.pipeline.record.changes import WORKER_FAILED, Change, Computed, Grown, changes, check_changes
from zenfront.pipeline.record.files.json_file import read_json, write_json
from zenfront.pipeline.record.files.ledger import read_ledger
from zenfront.pipeline.record.files.lock import locked
from zenfront.pipeline.results.rows import SCHEMA


@dataclass(frozen=True)
class RunFolder:
    """Folder ``<runs>/<name>`` of a run. Reading needs no lock; a driver that writes holds `driving`."""

    path: Path

    @property
    def config(self) -> Path:
        """Path of the experiment with all defaults written out."""
        return self.path / "experiment.json"

    @property
    def scores(self) -> Path:
        """Path of the ledger of `Scores`."""
        return self.path / "scores.jsonl"

    @property
    def pilot(self) -> Path:
        """Path of the ledger of `Scores` from which the number of repeats was chosen; with `repeats: auto` only."""
        return self.path / "pilot.jsonl"

    @property
    def generations(self) -> Path:
        """Path of the ledger of `Generation`."""
        return self.path / "generations.jsonl"

    @property
    def front(self) -> Path:
        """Path of the `Front` with its selection, which is written once."""
        return self.path / "front.json"

    @property
    def baselines(self) -> Path:
        """Path of the known networks that are trained beside the found ones, `Baselines`, in runs with some."""
        return self.path / "baselines.json"

    @property
    def epochs(self) -> Path:
        """Path of the ledger of `Epoch`."""
        return self.path / "epochs.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Path of the folder of checkpoints, with a folder for each training run."""
        return self.path / "checkpoints"

    @property
    def supernet(self) -> Path:
        """Path of the ledger of `SupernetStep`, the evaluations of supernets."""
        return self.path / "supernet.jsonl"

    @property
    def trained(self) -> Path:
        """Path of the outcomes of training, `Trained`, which are written once."""
        return self.path / "trained.json"

    @property
    def data(self) -> Path:
        """Path of what the data of the run hold: parts, classes, sizes."""
        return self.path / "data.json"

    @property
    def teacher(self) -> Path:
        """Path of the name and the weights of the teacher that networks are trained with, in runs with one."""
        return self.path / "teacher.json"

    @property
    def report(self) -> Path:
        """Path of the folder of tables, figures and the HTML page."""
        return self.path / "report"

    @property
    def devices(self) -> Path:
        """Path of the folder of what was measured on devices (`KeptValues`) and for models of costs (`measured`)."""
        return self.path / "measured"

    def measured(self, name: str) -> "RunFolder":
        """Return the folder of the measurements from which a search predicts a cost."""
        return RunFolder(self.devices / name)

    @property
    def model(self) -> Path:
        """Path of the error of the model of a cost, `CostError`, in the folder of its measurements."""
        return self.path / "model.json"

    def round(self, number: int) -> "RunFolder":
        """Return the folder of what was scored for a round.

        For the first one these are architectures that were drawn at random, for a later one those that its search
        asked, with the score `learned`.
        """
        return RunFolder(self.path / "rounds" / str(number))

    def experiment(self) -> Experiment:
        """Return the experiment that this folder belongs to; an earlier version's with what that version did.

        Its places are those that the user gave (`own_places`): none comes from the folder.

        Raises:
            UserError: The folder holds no run, or one of another version of Zenfront.
        """
        stored = self.stored_experiment()
        if stored is None:
            raise UserError(
                f"{self.path} holds no run: {self.config.name} is missing. Start one with `zenfront search`."
            )
        try:
            experiment = Experiment.model_validate(completed(stored))
        except ValueError as error:
            raise UserError(f"{self.config} holds no experiment ({error}). Restore it, or use another name.") from error
        return with_own_places(experiment, own_places())

    def stored_experiment(self) -> dict[str, Any] | None:
        """Return the experiment as it is stored, without the keys that are newer than the run; None without a run.

        Raises:
            UserError: The file is damaged, or from another version of Zenfront.
        """
        if not self.config.exists():
            return None
        stored = read_json(self.config)
        if stored.get("schema") != SCHEMA:
            raise UserError(
                f"{self.config}: schema {SCHEMA} is expected, but got {stored.get('schema')!r}. "
                "The run was made by another version of Zenfront: use that one, or another name."
            )
        experiment = stored.get("experiment")
        if not isinstance(experiment, dict):
            raise UserError(f"{self.config} holds no experiment. Restore it, or use another name.")
        return experiment

    def keeps_places(self) -> bool:
        """Return whether an earlier version stored places in this folder, and no driver has removed them since."""
        return any(named_places(self.stored_experiment() or {}))

    def places_before(self) -> list[str]:
        """Return the keys of the places that the last driver worked with; the places themselves are not kept.

        Raises:
            UserError: As `stored_experiment`.
        """
        stored = self.stored_experiment()
        names = read_json(self.config).get("places", []) if stored else []
        return [str(name) for name in names if isinstance(names, list)] + list(named_places(stored or {}))

    @contextmanager
    def driving(self, experiment: Experiment, *, score_by_score: bool = False) -> Iterator[Experiment]:
        """Hold the folder for one driver, and `claim` it for the experiment.

        Yields the experiment to drive: the given one, `continued` if an earlier version began the run. A new folder in
        which nothing was scored is deleted if the block fails.

        Raises:
            UserError: Another driver holds the folder; it belongs to another experiment; it cannot be written; it was
                removed in the meantime.
        """
        fresh = not self.path.exists()
        with locked(self.path):
            try:
                yield self.claim(experiment, score_by_score=score_by_score)
            except BaseException:
                if fresh and self.path.exists() and not self.computed().scores:
                    with suppress(OSError):
                        rmtree(self.path)  # a first start that fails does not claim the name
                raise

    def claim(self, experiment: Experiment, *, score_by_score: bool = False) -> Experiment:
        """Write the experiment to the folder, and delete what does not belong to it any more; return it.

        Keys on which nothing computed depends can change (`check_changes`). The front is made again if its inputs have
        changed, and so is the report; a training whose runs all failed is set aside.

        Raises:
            UserError: Something that is computed depends on a change; the folder cannot be written.
        """
        stored, grown = self.stored_experiment(), self.grown()
        computed = self.computed()
        if stored and computed.scores:
            experiment = continued(experiment, stored)
            before = self.experiment()
            found = check_changes(self.path, before, experiment, computed, score_by_score=score_by_score)
            if found:
                grown = self._make_room(found, before, grown, computed)
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "experiment": as_stored(experiment, stored if computed.scores else None),
        }
        if places := list(named_places(experiment)):
            document["places"] = places
        write_json(self.config, document | ({"grown": grown.to_row()} if grown != Grown() else {}))
        return experiment

    def computed(self) -> Computed:
        """Return what is computed in this folder."""
        ledgers = [*self.path.glob("*.jsonl"), *self.devices.glob("*/*.jsonl")]
        scores = any(path.stat().st_size for path in ledgers)
        rows = read_ledger(self.epochs)[0]
        last = {row["trial"]: row.get("failure") for row in rows}  # the last row of each training run
        failed = bool(rows) and all(str(failure).startswith(WORKER_FAILED) for failure in last.values())
        epochs = not all(last.values()) if rows else self.trained.exists()
        return Computed(scores, epochs, failed, self.supernet.exists() and self.supernet.stat().st_size > 0)

    def grown(self) -> Grown:
        """Return what the experiment asked for before it was made larger."""
        return Grown.from_row(read_json(self.config).get("grown", {})) if self.config.exists() else Grown()

    def _make_room(self, found: Sequence[Change], before: Experiment, grown: Grown, computed: Computed) -> Grown:
        """Delete or set aside what does not belong to the experiment any more; return what it had asked for."""
        keys = {each.key for each in found}
        if "search.evaluations" in keys:
            grown = grown.with_evaluations(before.search.evaluations)
        if any(key == "search.evaluations" or key.startswith("select.") for key in keys):
            if computed.epochs and self.front.exists():
                grown = grown.with_selected(read_json(self.front).get("selected", []))
            self.front.unlink(missing_ok=True)
            rmtree(self.path / "rounds", ignore_errors=True)
        if not computed.epochs and read_ledger(self.epochs)[0]:
            self.set_training_aside()
        (self.report / "index.html").unlink(missing_ok=True)
        return grown

    def set_training_aside(self) -> Path:
        """Move the record of a training to a folder of its own, so that it begins anew; return that folder."""
        number = next(n for n in count(1) if not (self.path / "superseded" / f"training-{n}").exists())
        aside = self.path / "superseded" / f"training-{number}"
        aside.mkdir(parents=True)
        for path in (self.trained, self.checkpoints, self.epochs):
            if path.exists():
                path.rename(aside / path.name)
        return aside


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Yield the leaves in which two JSON values differ, as ``place: before -> after``."""
    return map(str, changes(before, after, place))
