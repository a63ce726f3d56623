"""What is known of an architecture, and the append-only record that holds it."""

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from pipeline.errors import UserError
from spaces import Architecture

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Scores:
    """The raw scores of one architecture; without values if and only if it failed.

    Attributes:
        architecture: Canonical.
        values: Score by name, finite. An architecture that a cheap constraint excludes has only its costs.
        failure: Why there are no values.
        seed: The experiment's root seed.
        errors: Standard error by name, where the proxy was repeated.
        seconds: Wall-clock seconds by name; the construction of the network is ``build``.
        undefined: Why there is no value, by name, where the others were taken all the same.
    """

    architecture: Architecture
    values: Mapping[str, float]
    failure: str | None
    seed: int
    errors: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    seconds: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    undefined: Mapping[str, str] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        if (self.failure is None) != bool(self.values):
            raise ValueError(f"scores have values or a failure, but got ({self.values=}, {self.failure=})")

    def to_row(self) -> dict[str, Any]:
        """The ledger's form."""
        row: dict[str, Any] = {
            "id": self.architecture.id,
            "space": self.architecture.space,
            "genes": dict(self.architecture.genes),
            "values": dict(self.values),
            "failure": self.failure,
            "seed": self.seed,
            "seconds": {name: round(value, 6) for name, value in self.seconds.items()},
        }
        if self.errors:
            row["errors"] = dict(self.errors)
        if self.undefined:
            row["undefined"] = dict(self.undefined)
        return row

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> "Scores":
        """The inverse of `to_row`."""
        architecture = Architecture.from_dict(row)
        errors, undefined = row.get("errors", {}), row.get("undefined", {})
        return Scores(architecture, row["values"], row["failure"], row["seed"], errors, row["seconds"], undefined)


@dataclass(frozen=True)
class Epoch:
    """One epoch of one training run.

    Attributes:
        trial: ``<architecture id>-<seed>``.
        epoch: Completed epochs, from 1.
        metrics: ``train_loss``, ``val_loss``, ``val_accuracy`` (a fraction), ``learning_rate``, ``seconds``; finite.
        failure: Why the run ended itself in this epoch (then no metrics), or None.
        time: Seconds since the Unix epoch when it was recorded.
    """

    trial: str
    epoch: int
    metrics: Mapping[str, float]
    failure: str | None = None
    time: float = 0.0

    def to_row(self) -> dict[str, Any]:
        """The ledger's form."""
        return {
            "trial": self.trial,
            "epoch": self.epoch,
            "metrics": dict(self.metrics),
            "failure": self.failure,
            "time": self.time,
        }

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> "Epoch":
        """The inverse of `to_row`."""
        return Epoch(row["trial"], row["epoch"], row["metrics"], row["failure"], row["time"])


def _line(row: Mapping[str, Any]) -> bytes:
    body = json.dumps(row, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return f'{body[:-1]},"check":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def _parse(line: bytes) -> dict[str, Any] | None:
    """The row of a complete, undamaged line, else None."""
    body, found, check = line.rpartition(b',"check":"')
    if not found or not line.endswith(b'"}\n') or check[:-3] != f"{zlib.crc32(body + b'}'):08x}".encode():
        return None
    row: dict[str, Any] = json.loads(body + b"}")
    return row


class Ledger:
    """An append-only file of JSON lines, each with a CRC-32 of itself; every append is fsynced.

    On opening for writing, a torn tail is moved to ``<name>.torn`` and cut off. Damage before the last line is
    an error: nothing is skipped in silence.

    Attributes:
        path: Of the file.
        rows: What was there on opening. What is appended later is on the disk, and not kept in memory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows, intact = read_ledger(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut_tail(path, intact)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise UserError(
                f"cannot write {path}: {error.strerror}. Free the path or choose another run folder."
            ) from error

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes rows and waits until the disk has them; on failure the file stays as it was.

        Raises:
            UserError: The disk is full or the file cannot be written.
        """
        size = self._file.seek(0, os.SEEK_END)
        data = b"".join(map(_line, rows))
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(28, f"only {written} of {len(data)} bytes fitted")
            os.fsync(self._file.fileno())
        except OSError as error:
            os.ftruncate(self._file.fileno(), size)
            raise UserError(
                f"cannot write {self.path}: {error.strerror}. Earlier records are intact: "
                "make room and run the same command to go on."
            ) from error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_ledger(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The rows of a ledger, and the number of bytes that they take; no file has no rows.

    A torn last line is left out.

    Raises:
        UserError: A line before the last is damaged.
    """
    if not path.exists():
        return [], 0
    rows: list[dict[str, Any]] = []
    intact = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            row = _parse(line)
            if row is None:
                if file.read(1):
                    raise UserError(
                        f"{path}, line {number}: the record is damaged (its checksum does not match). "
                        "Restore the file from a copy, or delete it from that line on and run again."
                    )
                break
            rows.append(row)
            intact += len(line)
    return rows, intact


def _cut_tail(path: Path, intact: int) -> None:
    if path.exists() and path.stat().st_size > intact:
        with path.open("r+b") as file:
            file.seek(intact)
            path.with_suffix(path.suffix + ".torn").write_bytes(file.read())
            file.truncate(intact)
            os.fsync(file.fileno())
