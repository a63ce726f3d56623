"""Store of MLflow: what it has of a run, and the calls that send the rest. No other module calls MLflow."""

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment._types import ARTIFACTS, STORE
from zenfront.pipeline.experiment.addresses import shown
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.tracking._entries import Entry, Point
from zenfront.pipeline.tracking._limits import METRICS_A_CALL, NOTE, PAIRS_A_CALL, VALUE, chunks, cut, finite, key
from zenfront.pipeline.tracking._notes import PICTURE

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RUN = "zenfront.run"
ENTRY = "zenfront.architecture"
FOLDER, HOST, DELETED = "zenfront.folder", "zenfront.host", "zenfront.folder_deleted"
MANY = 1000
"""Experiments whose folders are looked for."""
SENT = "zenfront.points"
FILES = "zenfront.files"
NOTE_SENT = "zenfront.note"
SHOWN_NOTE = "mlflow.note.content"
Pair = tuple[str, str]


def default_store(runs: Path) -> Path:
    """Return the path of the SQLite store beside the runs."""
    return runs.resolve() / STORE


def default_uri(runs: Path) -> str:
    """Return the address of the SQLite store beside the runs; ``%`` and ``?`` in its path are quoted."""
    path = str(default_store(runs))
    return f"sqlite:///{path.replace('%', '%25').replace('?', '%3F')}"


def experiment_pages(uri: str) -> dict[str, str]:
    """Return the page of each experiment that holds runs of this project, by name, relative to MLflow's pages."""
    client = _client(uri)
    ours = f"tags.`{RUN}` LIKE '%'"
    every = {each.name: each.experiment_id for each in client.search_experiments()}
    return {name: f"experiments/{i}" for name, i in every.items() if client.search_runs([i], ours, max_results=1)}


def tracking_uri(experiment: Experiment, runs: Path) -> str:
    """Return the configured store, or the one beside the runs."""
    return experiment.tracking.uri or default_uri(runs)


def shown_uri(experiment: Experiment, runs: Path) -> str:
    """Return the store for display, without a password."""
    return shown(tracking_uri(experiment, runs))


def _client(uri: str) -> "MlflowClient":
    """Return a client with short timeouts; MLflow takes seconds to import and is imported only here."""
    for name, value in (
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("DO_NOT_TRACK", "true"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "10"),
    ):
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic", "sqlalchemy"):  # every failure is raised as well, and told in one message
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@dataclass
class _Held:
    """State of one run in MLflow, updated with what is sent."""

    id: str
    name: str
    status: str
    params: set[str] = field(default_factory=set)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Store:
    """Runs of one experiment in MLflow; reads what is there when it is constructed.

    Args:
        experiment: Experiment that names the store and the MLflow experiment.
        runs: Folder of the run folders, which also has the default store.
        run: Id of the run, as in origin.json.

    Raises:
        MlflowException: The store cannot be reached.
        UserError: MLflow cannot keep a database in the folder of the runs.
    """

    def __init__(self, experiment: Experiment, runs: Path, run: str) -> None:
        if not experiment.tracking.uri and (odd := re.search("[%#?]", str(runs.resolve()))):
            raise UserError(  # MLflow would look for the database elsewhere, for minutes
                f"MLflow cannot keep its database in {runs.resolve()}: the path has {odd[0]!r} in it. "
                "Choose another folder with --runs, or another store with `tracking.uri`."
            )
        self._client = _client(tracking_uri(experiment, runs))
        self._run = run
        self._experiment = self._experiment_id(experiment, runs)
        self._held: dict[str, _Held] = {}
        for found in self._search():
            self._keep_first(found)

    def _experiment_id(self, experiment: Experiment, runs: Path) -> str:
        name = experiment.tracking.experiment
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        served = tracking_uri(experiment, runs).startswith(("http://", "https://", "databricks"))
        beside = None if served else (runs.resolve() / ARTIFACTS).as_uri()
        training = {"mlflow.experimentKind": "custom_model_development"}  # or MLflow shows pages for language models
        return str(self._client.create_experiment(name, artifact_location=beside, tags=training))

    def _search(self) -> Iterator["Run"]:
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                filter_string=f"tags.`{RUN}` = '{self._run}'",
                order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def _keep_first(self, run: "Run") -> None:
        """Delete the second run of an entry, which remains if a request was executed but its answer was lost."""
        name = run.data.tags[ENTRY]
        if name in self._held:
            self._client.delete_run(run.info.run_id)
            return
        data = run.data
        self._held[name] = _Held(
            run.info.run_id, run.info.run_name, run.info.status, set(data.params), dict(data.metrics), dict(data.tags)
        )

    def mark_deleted(self, host: str) -> list[str]:
        """Mark the experiments of this machine whose run folder was deleted; return the names of the new ones.

        Args:
            host: Name of this machine, as in origin.json.
        """
        on_host = f"tags.`{HOST}` = '{host}' AND tags.`{FOLDER}` LIKE '%'"
        found = self._client.search_runs([self._experiment], filter_string=on_host, max_results=MANY)
        marked = []
        for run in found:
            if Path(run.data.tags[FOLDER]).exists() or DELETED in run.data.tags:
                continue
            self._client.set_tag(run.info.run_id, DELETED, "true")
            self._client.update_run(run.info.run_id, name=f"{run.info.run_name} (folder deleted)")
            if run.info.status == "RUNNING":
                self._client.set_terminated(run.info.run_id, "KILLED")
            marked.append(run.info.run_name)
        return marked

    def send(self, entry: Entry) -> None:
        """Send what MLflow does not have of an entry. Sent again, also after a kill, nothing is there twice."""
        held = self._held.get(entry.key) or self._create(entry)
        self._send_facts(held, entry)
        self._send_points(held, entry.points)
        for path in entry.files:
            self.send_file(entry.key, path)
        self._send_note(held, entry)
        if held.name != entry.name:
            self._client.update_run(held.id, name=entry.name)
            held.name = entry.name
        if held.status != entry.status:
            if entry.status == "RUNNING":
                self._client.update_run(held.id, status=entry.status)
            else:
                self._client.set_terminated(held.id, entry.status, end_time=_milliseconds(entry.end))
            held.status = entry.status

    def _create(self, entry: Entry) -> _Held:
        tags = {RUN: self._run, ENTRY: entry.key, SENT: "0"} | _tags(entry)
        if entry.key:  # all tags in one call: every call takes a SQL store several commits
            tags |= {"mlflow.parentRunId": self._held[""].id} | self._note_tags(entry)
        run = self._client.create_run(
            self._experiment, start_time=_milliseconds(entry.start), tags=tags, run_name=entry.name
        )
        held = self._held[entry.key] = _Held(run.info.run_id, entry.name, run.info.status, tags=tags)
        return held

    def _send_facts(self, held: _Held, entry: Entry) -> None:
        """Send params, metrics without steps, and tags. MLflow does not change params: those of the first call stay."""
        params = {key(k): cut(v, VALUE) for k, v in entry.params.items() if key(k) not in held.params}
        metrics = {k: v for k, v in finite(entry.metrics).items() if held.metrics.get(k) != v}
        tags = {k: v for k, v in _tags(entry).items() if held.tags.get(k) != v}
        later = max(entry.end + 0.001, time.time())  # of two values with one time, MLflow shows the higher
        points = [Point(n, value, later if n in held.metrics else entry.end, 0) for n, value in metrics.items()]
        parts = (chunks(list(params.items()), PAIRS_A_CALL), chunks(points, METRICS_A_CALL))
        for some_params, some_points, some_tags in zip_longest(
            *parts, chunks(list(tags.items()), PAIRS_A_CALL), fillvalue=()
        ):
            self._log(held, some_points, some_tags, some_params)
        held.params |= params.keys()
        held.metrics |= metrics
        held.tags |= tags

    def _send_points(self, held: _Held, points: list[Point]) -> None:
        """Send points with their number, so that a kill in between repeats them; MLflow stores equal points once."""
        sent = int(held.tags[SENT])
        for chunk in chunks(points[sent:], METRICS_A_CALL):
            sent += len(chunk)
            self._log(held, chunk, [(SENT, str(sent))])
            held.tags[SENT] = str(sent)

    def _send_note(self, held: _Held, entry: Entry) -> None:
        """Send the note with its digest; a note that somebody wrote or changed in MLflow stays as it is."""
        tags, shown = self._note_tags(entry), held.tags.get(SHOWN_NOTE)
        new = tags and shown != tags[SHOWN_NOTE]
        if new and (shown is None or _digest(shown.encode()) == held.tags.get(NOTE_SENT)):
            self._log(held, tags=list(tags.items()))
            held.tags |= tags

    def _note_tags(self, entry: Entry) -> dict[str, str]:
        """Return the note of an entry and its digest as tags; none without a note."""
        if not entry.note:
            return {}
        address = f"get-artifact?path={PICTURE}&run_uuid={self._held[''].id}"  # relative to MLflow's pages
        note = cut(entry.note, NOTE - len(address)).replace(f"]({PICTURE})", f"]({address})")
        return {NOTE_SENT: _digest(note.encode()), SHOWN_NOTE: note}

    def _log(
        self, held: _Held, points: Sequence[Point] = (), tags: Sequence[Pair] = (), params: Sequence[Pair] = ()
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        self._client.log_batch(
            held.id,
            metrics=[Metric(key(p.name), p.value, _milliseconds(p.time), p.step) for p in points],
            params=[Param(*pair) for pair in params],
            tags=[RunTag(*pair) for pair in tags],
        )

    def send_file(self, entry: str, path: Path) -> None:
        """Store a file as an artifact, unless MLflow has the same content under its name."""
        held = self._held[entry]
        digests = json.loads(held.tags.get(FILES, "{}"))
        digest = _digest(path.read_bytes())
        if digests.get(path.name) != digest:
            self._client.log_artifact(held.id, str(path))
            held.tags[FILES] = json.dumps(digests | {path.name: digest})
            self._log(held, tags=[(FILES, held.tags[FILES])])

    @property
    def runs(self) -> dict[str, str]:
        """MLflow's run ids by entry; the id of the parent has an empty key."""
        return {name: held.id for name, held in self._held.items()}


def _tags(entry: Entry) -> dict[str, str]:
    return {key(name): cut(value, VALUE) for name, value in entry.tags.items()}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
