"""Folder of one run: the files that one stage hands to the next."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.earlier_versions import as_stored, completed, continued
from zenfront.pipeline.experiment.own_places import named_places, own_places, with_own_places
from zenfront.pipeline.record.json_file import read_json, write_json
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
    def generations(self) -> Path:
        """Path of the ledger of `Generation`."""
        return self.path / "generations.jsonl"

    @property
    def front(self) -> Path:
        """Path of the `Front` with its selection, which is written once."""
        return self.path / "front.json"

    @property
    def epochs(self) -> Path:
        """Path of the ledger of `Epoch`."""
        return self.path / "epochs.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Path of the folder of checkpoints, with a folder for each training run."""
        return self.path / "checkpoints"

    @property
    def trained(self) -> Path:
        """Path of the outcomes of training, `Trained`, which are written once."""
        return self.path / "trained.json"

    @property
    def data(self) -> Path:
        """Path of what the data of the run hold: parts, classes, sizes."""
        return self.path / "data.json"

    @property
    def report(self) -> Path:
        """Path of the folder of tables, figures and the HTML page."""
        return self.path / "report"

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
    def driving(self, experiment: Experiment) -> Iterator[Experiment]:
        """Hold the folder for one driver, and write the experiment to it or check that it is the same.

        Yields the experiment to drive: the given one, `continued` if an earlier version began the run.

        Raises:
            UserError: Another driver holds the folder; it belongs to another experiment; it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"cannot write the run folder {self.path}: {error.strerror}. Choose another with --runs."
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                raise UserError(
                    f"another driver is using {self.path} ({lock.read().strip()}). "
                    "Wait until it ends, or start this one under another name (--set name=...)."
                ) from error
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            lock.flush()
            yield self._claimed(experiment)

    def _claimed(self, experiment: Experiment) -> Experiment:
        stored = self.stored_experiment()
        if stored:
            experiment = continued(experiment, stored)
            difference = list(differences(self.experiment().identity(), experiment.identity()))
            if difference:
                raise UserError(
                    f"{self.path} holds a run of another experiment under the same name:\n  "
                    + "\n  ".join(difference)
                    + "\nChoose another name (--set name=...), or delete the folder. "
                    f"`zenfront train {self.path.name}` goes on with the run as it is stored."
                )
        places = list(named_places(experiment))
        document = {"schema": SCHEMA, "experiment": as_stored(experiment, stored)}
        write_json(self.config, document | ({"places": places} if places else {}))
        return experiment


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Yield the leaves in which two JSON values differ, as ``place: before -> after``."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from differences(before.get(key), after.get(key), f"{place}.{key}" if place else str(key))
    elif before != after:
        yield f"{place}: {json.dumps(before)} -> {json.dumps(after)}"
