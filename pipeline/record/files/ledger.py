"""Append-only ledger of JSON lines with checksums."""

import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.files.lock import LOCK, check_lock
from zenfront.pipeline.record.files.regular_file import regular_only, same_file, state

Value = TypeVar("Value")


def _line(row: Mapping[str, Any]) -> bytes:
    body = json.dumps(row, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return f'{body[:-1]},"check":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the row of a complete, undamaged line, else None."""
    body, found, check = line.rpartition(b',"check":"')
    if not found or not line.endswith(b'"}\n') or check[:-3] != f"{zlib.crc32(body + b'}'):08x}".encode():
        return None
    try:
        row: dict[str, Any] = json.loads(body + b"}")
    except (ValueError, RecursionError):
        return None
    return row


class Ledger:
    """Append-only file of JSON lines, each with a CRC-32 of its content; every append is fsynced.

    Opening a ledger for writing moves an incomplete last line to ``<name>.torn``. Damage before the last line is an
    error: nothing is skipped silently.

    Attributes:
        path: Path of the file.
        rows: Rows that were there on opening. Rows that are appended later are on the disk and not kept in memory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows, intact = read_ledger(path)
        self._lock = state(path.parent / LOCK)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut_tail(path, intact)
            self._file = open(path, "ab", buffering=0, opener=regular_only)  # noqa: SIM115
        except OSError as error:
            raise UserError(
                f"cannot write {path}: {error.strerror}. Free the path or choose another run folder."
            ) from error

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows and wait until they are on the disk; on failure the file stays as it was.

        Raises:
            UserError: The disk is full or the file cannot be written; the file or the lock beside it was removed.
        """
        self._check_place()
        size = self._file.seek(0, os.SEEK_END)
        data = b"".join(map(_line, rows))
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(28, f"only {written} of {len(data)} bytes fitted")
            os.fsync(self._file.fileno())
        except OSError as error:
            os.ftruncate(self._file.fileno(), size)
            kept = "Earlier records are intact: m" if size else "M"
            raise UserError(
                f"cannot write {self.path}: {error.strerror}. {kept}ake room and run the same command to go on."
            ) from error

    def _check_place(self) -> None:
        """Check that the file is still in its place, and that the lock beside it is that of the beginning."""
        if not same_file(os.fstat(self._file.fileno()), state(self.path)):
            raise UserError(
                f"{self.path} was removed or replaced while this command was writing to it, so that its results would "
                "be lost. Put the folder back, or run the same command to begin anew."
            )
        check_lock(self.path.parent, self._lock)

    def values(self, from_row: Callable[[object], Value]) -> list[Value]:
        """Return the rows that were there on opening as values, such as `Scores`.

        Raises:
            UserError: A row holds no such value.
        """
        return _values(self.path, self.rows, from_row)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_values(path: Path, from_row: Callable[[object], Value]) -> list[Value]:
    """Return the rows of a ledger as values; none if there is no such file.

    Args:
        path: Path of the ledger.
        from_row: Makes a value of a row, such as `Scores.from_row`.

    Raises:
        UserError: A line before the last is damaged, or a row holds no such value.
    """
    return _values(path, read_ledger(path)[0], from_row)


def _values(path: Path, rows: Sequence[Mapping[str, Any]], from_row: Callable[[object], Value]) -> list[Value]:
    values = []
    for number, row in enumerate(rows, start=1):
        try:
            values.append(from_row(row))
        except ValueError as error:
            raise UserError(
                f"{path}, line {number}: {error}. Restore the file from a copy, or delete it from that line on and run "
                "the command again."
            ) from error
    return values


def read_ledger(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of a ledger and the number of bytes that they take; no rows if there is no such file.

    An incomplete last line is left out.

    Raises:
        UserError: A line before the last is damaged.
    """
    if not state(path):
        return [], 0
    rows: list[dict[str, Any]] = []
    intact = 0
    with _opened(path) as file:
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


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb", opener=regular_only)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Restore the file from a copy.") from error


def _cut_tail(path: Path, intact: int) -> None:
    if path.exists() and path.stat().st_size > intact:
        with path.open("r+b") as file:
            file.seek(intact)
            path.with_suffix(path.suffix + ".torn").write_bytes(file.read())
            file.truncate(intact)
            os.fsync(file.fileno())
