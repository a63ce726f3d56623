"""Mirror that keeps MLflow up to date with the record of a run, in the background or at once."""

import fcntl
import logging
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.addresses import shown
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.record.copies.background import BackgroundSender
from zenfront.pipeline.record.files.regular_file import regular_only
from zenfront.pipeline.record.provenance import read_origin
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.baselines import TrainedBaseline
from zenfront.pipeline.results.trained_networks import TrainedFront
from zenfront.pipeline.tracking._baselines import baseline_entries
from zenfront.pipeline.tracking._entries import Entry, Status, children, parent, resting_status
from zenfront.pipeline.tracking._notes import drawn
from zenfront.pipeline.tracking._picture import send_picture
from zenfront.pipeline.tracking._store import Store, shown_uri

logger = logging.getLogger(__name__)

LONGEST = 300
"""Characters of an error of MLflow that are shown."""
HURRY = 2.0
"""Longest time in seconds to wait at the end of an interrupted run: the machine may be about to be taken away."""


def sync(folder: RunFolder, experiment: Experiment | None = None) -> dict[str, str]:
    """Send what MLflow does not have of a run; calling it again changes nothing.

    Args:
        folder: Folder of the run.
        experiment: Experiment that names the store; the stored one if not given.

    Returns:
        MLflow's run ids by architecture id; the id of the parent has an empty key.

    Raises:
        UserError: The folder holds no run, or the store cannot be reached.
    """
    experiment = experiment or folder.experiment()
    try:
        session = _Session(folder, experiment)
        sent = session.send(None)
        for name in session.mark_deleted():
            logger.warning("MLflow: the folder of run %s was deleted; it is marked so", name)
        return sent
    except StoreFailed as error:
        raise UserError(f"{error} Then run {command('sync', folder.path)}.") from error


class StoreFailed(UserError):
    """MLflow has not stored a run; the cause is an exception of the store."""


class Mirror:
    """Keeps MLflow up to date while a stage is at work; a context manager around it that never raises.

    If the store is down or slow, the work goes on; the user is warned once, and once more at the end if something is
    missing then.

    Args:
        folder: Folder of the run, held by the driver.
        experiment: Experiment of the run.
        say: Shows a line to the user; the log if not given.
        period: Seconds between two looks at the record; `poke` shortens them.
        patience: Longest time in seconds to wait at the end.
    """

    def __init__(
        self,
        folder: RunFolder,
        experiment: Experiment,
        say: Callable[[str], None] | None = None,
        *,
        period: float = 5.0,
        patience: float = 60.0,
    ) -> None:
        self._folder, self._experiment = folder, experiment
        self._say = say or logger.warning
        self._patience = patience
        self._session = _Session(folder, experiment)
        self._status: Status = "RUNNING"
        self._is_whole = True
        self._sender = BackgroundSender(
            lambda: self._session.send(self._status),
            self._say,
            name="mlflow-mirror",
            complaint=lambda error: _complaint(experiment, error),
            reason=self._reason,
            period=period,
            delay=period,
        )

    def __enter__(self) -> Self:
        read_origin(self._folder)
        self._sender.start()
        return self

    def poke(self) -> None:
        """Announce that there is something new; return at once."""
        self._sender.poke()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._status = "FINISHED" if kind is None else "FAILED" if issubclass(kind, Exception) else "KILLED"
        sent = self._sender.close(min(self._patience, HURRY) if self._status == "KILLED" else self._patience)
        if not sent and self._folder.config.exists():  # a removed folder is the driver's to tell
            reason = f" ({self._sender.trouble})" if self._sender.trouble else ""
            record = f"The record in {self._folder.path} is complete: " if self._is_whole else "When it is put right, "
            self._say(
                f"MLflow lacks a part of this run{reason}. {record}{command('sync', self._folder.path)} sends what is "
                "missing."
            )

    def _reason(self, error: Exception) -> str:
        self._is_whole = isinstance(error, StoreFailed)
        cause = error.__cause__ if self._is_whole else None
        return _first_line(self._experiment, cause or error)


class _Session:
    """Sends a run repeatedly, and keeps what MLflow has of it as long as no other process sends the same run."""

    def __init__(self, folder: RunFolder, experiment: Experiment) -> None:
        self._folder, self._experiment = folder, experiment
        self._name = uuid.uuid4().hex
        self._store: Store | None = None
        self._seen: object = None

    def send(self, status: Status | None) -> dict[str, str]:
        """Send what is missing; if the status is None, it is that of the folder.

        Raises:
            StoreFailed: MLflow has not stored the run.
            UserError: A file of the run is damaged, or the folder is gone.
        """
        if not self._folder.computed().scores:
            return {}  # a first start that fails leaves nothing in MLflow
        with self._alone() as undisturbed:
            seen = (status, *(_stamp(path) for path in (self._folder.generations, self._folder.front)))
            seen += tuple(_stamp(path) for path in (self._folder.epochs, self._folder.trained))
            store = self._store if undisturbed else None
            if store and seen == self._seen:
                return store.runs
            self._store = None  # what was sent before an exception is unknown, so it is read again
            content = _Content.of(self._folder, self._experiment, status)
            with self._told():
                store = store or Store(self._experiment, self._folder.path.parent, content.run)
                content.send(store)
            self._store, self._seen = store, seen
            return store.runs

    def mark_deleted(self) -> list[str]:
        """Mark the runs whose folder was deleted; return the names of the new ones.

        Raises:
            StoreFailed: MLflow has not marked them.
        """
        host = read_origin(self._folder).host
        with self._told():
            return self._store.mark_deleted(host) if self._store else []

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Name MLflow as the cause of an exception of the store."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # requests, SQLAlchemy, MLflow: each store has its own
            raise StoreFailed(trouble(self._folder, self._experiment, error)) from error

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold the lock of the senders on this machine; yield whether this one was the last to hold it."""
        path = self._folder.path / "tracking.lock"
        try:
            lock = open(path, "a+", encoding="utf-8", opener=regular_only)  # noqa: SIM115
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}. MLflow gets nothing of this run.") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.seek(0)
            undisturbed = lock.read() == self._name
            lock.truncate(0)
            lock.write(self._name)
            lock.flush()
            yield undisturbed


def _at_work(folder: RunFolder) -> bool:
    """Return whether a driver holds the folder."""
    try:
        with (folder.path / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file changes; None if there is no file."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class _Content:
    """Contents of a run that MLflow is sent; all of it is read and computed before anything is sent."""

    run: str
    entries: list[Entry]
    name: str
    scores: list[dict[str, Any]]
    shown: TrainedFront | None
    baselines: Sequence[TrainedBaseline]

    @staticmethod
    def of(folder: RunFolder, experiment: Experiment, status: Status | None) -> "_Content":
        """Read a run; its scores and the picture of its trained front only if it has come to rest."""
        origin, record = read_origin(folder), RunRecord.read(folder, experiment)
        status = status or ("RUNNING" if _at_work(folder) else resting_status(record))
        resting = status != "RUNNING"
        return _Content(
            run=origin.run,
            entries=[
                parent(record, origin, status),
                *children(record, origin),
                *baseline_entries(record, origin),
            ],
            name=experiment.name,
            scores=[_columns(scores.to_row()) for scores in record.scores()] if resting else [],
            shown=drawn(record) if resting else None,
            baselines=record.trained_baselines,
        )

    def send(self, store: Store) -> None:
        for entry in self.entries:
            store.send(entry)
        if self.scores:
            _send_scores(store, self.scores)
        if self.shown:
            send_picture(store, [(self.name, self.shown)], self.baselines)


def _send_scores(store: Store, rows: Sequence[Mapping[str, Any]]) -> None:
    """Send all scored candidates as one parquet file with a row for each and genes and values as columns."""
    import pyarrow as pa
    from pyarrow import parquet

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "scores.parquet"
        names = dict.fromkeys(name for row in rows for name in row)
        parquet.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
        store.send_file("", path)


def _columns(row: Mapping[str, Any]) -> dict[str, Any]:
    nested = {f"{k}.{name}": v for k, inner in row.items() if isinstance(inner, Mapping) for name, v in inner.items()}
    return {name: value for name, value in row.items() if not isinstance(value, Mapping)} | nested


def _complaint(experiment: Experiment, error: Exception) -> str:
    line = _first_line(experiment, error)
    return line if isinstance(error, UserError) else f"the run cannot be sent to MLflow ({line})."


def _first_line(experiment: Experiment, error: BaseException) -> str:
    """Return the first line of an error; a message of our own is whole, since it ends with what to do."""
    if isinstance(error, UserError):
        return shown(str(error), experiment.tracking.uri)
    line = shown(f"{type(error).__name__}: {error}".splitlines()[0], experiment.tracking.uri)
    return line if len(line) <= LONGEST else f"{line[:LONGEST].rpartition(' ')[0]} ..."


def trouble(folder: RunFolder, experiment: Experiment, error: BaseException) -> str:
    """Return a line for the user if MLflow has not stored a run, without passwords that addresses may hold."""
    uri, line = shown_uri(experiment, folder.path.parent), _first_line(experiment, error)
    return f"MLflow at {uri} did not store the run ({line}). Check `tracking.uri` and that it is up."
