"""A run folder's copy in storage: brought up to date in the background, fetched if the folder is missing."""

import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.earlier_versions import completed
from zenfront.pipeline.record.changes import Computed, check_changes
from zenfront.pipeline.record.copies.background import BackgroundSender
from zenfront.pipeline.record.copies.storage import Storage
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.files.whole_file import PARTIAL
from zenfront.pipeline.record.run_folder import RunFolder

logger = logging.getLogger(__name__)

DRIVER = "driver.json"
"""File in the storage that names the driver which keeps the copy. The run folder has the name in storage.json."""
_NOT_COPIED = ("lock", "tracking.lock", "storage.json", DRIVER)
_NOT_COPIED_FOLDERS = ("tune", "checkpoints", "superseded")  # the workers copy the checkpoints


def storage_of(experiment: Experiment, folder: RunFolder) -> Storage | None:
    """Return the folder in the storage of the experiment that has the copy of a run folder, if there is a storage."""
    return Storage(experiment.cluster.storage) / folder.path.name if experiment.cluster.storage else None


def copied_experiment(folder: RunFolder, storage: Storage) -> dict[str, Any] | None:
    """Return the experiment of the copy in a storage as it is stored there, or None if there is none.

    Raises:
        OSError: The storage cannot be read.
    """
    stored: dict[str, Any] | None = _parse(storage.read(folder.config.name) or b"{}").get("experiment")
    return stored


class Backup:
    """Keeps the copy of a run folder; a context manager around the work of a driver, inside `RunFolder.driving`.

    On entering, a copy that another driver has kept since is fetched: it replaces the content of this folder, which
    is moved to ``superseded/``. A failing storage does not stop the work; the user is warned once, and once more at the
    end if something is missing then. Files are append-only or written whole, so the work can go on from every state
    of the copy.

    Args:
        folder: Folder of the run, held by this driver.
        experiment: Experiment of the run.
        storage: Folder of the copy.
        say: Shows a line to the user; the log if not given.
        period: Seconds between two looks at the folder.
        patience: Longest time in seconds to wait for the last copy at the end.
    """

    def __init__(
        self,
        folder: RunFolder,
        experiment: Experiment,
        storage: Storage,
        say: Callable[[str], None] | None = None,
        *,
        period: float = 15.0,
        patience: float = 30.0,
    ) -> None:
        self._folder, self._experiment, self._storage = folder, experiment, storage
        self._say = say or logger.warning
        self._patience = patience
        self._driver = uuid.uuid4().hex
        self._sent: dict[str, tuple[int, int] | None] = {}
        self._sender = BackgroundSender(
            self._send,
            self._say,
            name="run-copy",
            complaint=lambda error: f"{storage} cannot be written ({error}).",
            reason=str,
            period=period,
        )

    def __enter__(self) -> Self:
        try:
            self._take_over()
        except OSError as error:
            raise UserError(
                f"cluster.storage: {self._storage} cannot be used ({error}). "
                "Put that right, or work without it: --set cluster.storage=null."
            ) from error
        self._sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._sender.close(self._patience):
            reason = f" ({self._sender.trouble})" if self._sender.trouble else ""
            self._say(
                f"The copy in {self._storage} lacks a part of this run{reason}. {self._folder.path} is complete; "
                "the same command sends what is missing."
            )

    def _take_over(self) -> None:
        local = _parse(self._claim.read_bytes()) if self._claim.exists() else {}
        there = _parse(self._storage.read(DRIVER) or b"{}")
        copied = [path for path in self._storage.files() if _is_copied(path)]
        if there and there["driver"] not in (local.get("driver"), local.get("before")):
            self._check_same(copied)
            self._set_aside(there["driver"])
            for path in copied:
                self._storage.download(path, self._folder.path / path)
                self._sent[path] = _stamp(self._folder.path / path)
            self._folder.claim(self._experiment)
        else:
            self._sent = dict.fromkeys(copied)
        mine = {"driver": self._driver, "before": there.get("driver")}  # first here: a crash in between loses nothing
        write_json(self._claim, mine)
        place = {"host": socket.gethostname(), "process": os.getpid(), "time": time.time()}
        self._storage.write(DRIVER, json.dumps(mine | place).encode())

    @property
    def _claim(self) -> Path:
        return self._folder.path / "storage.json"

    def _check_same(self, copied: Sequence[str]) -> None:
        """Check that the copy takes the experiment, before it replaces the content of this folder."""
        if stored := copied_experiment(self._folder, self._storage):
            before = Experiment.model_validate(completed(stored))
            files = (self._folder.scores.name, self._folder.epochs.name, self._folder.supernet.name)
            scores, epochs, shared = (name in copied for name in files)
            computed = Computed(scores or shared, epochs, supernet=shared)
            check_changes(self._folder.path, before, self._experiment, computed, place=str(self._storage))

    def _set_aside(self, successor: str) -> None:
        """Move the content of this folder out of the way of a later state."""
        held = list(self._files())
        for path in held if held != [self._folder.config.name] else []:
            aside = self._folder.path / "superseded" / successor / path
            aside.parent.mkdir(parents=True, exist_ok=True)
            (self._folder.path / path).replace(aside)

    def _files(self) -> Iterator[str]:
        """Yield the paths of all files that are copied, relative to the folder."""
        root = self._folder.path
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root).as_posix()
            if _is_copied(relative) and path.is_file():
                yield relative

    def _send(self) -> None:
        """Copy what has changed, and delete from the copy what is deleted here."""
        there = _parse(self._storage.read(DRIVER) or b"{}")
        if there.get("driver") != self._driver:
            raise OSError(f"the driver on {there.get('host', 'another machine')} has taken it over")
        present = {path: _stamp(self._folder.path / path) for path in self._files()}
        for path, stamp in present.items():
            if self._sent.get(path) != stamp:
                self._storage.upload(self._folder.path / path, path)
                self._sent[path] = stamp
        for path in self._sent.keys() - present.keys():
            self._storage.delete(path)
            del self._sent[path]


def _is_copied(path: str) -> bool:
    first, *rest = path.split("/")
    return not (path in _NOT_COPIED or path.endswith(PARTIAL) or (rest and first in _NOT_COPIED_FOLDERS))


def _parse(content: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(content)
    return value


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
