"""Atomic checkpoints with a checksum; the last two are kept.

A checkpoint is what `torch.save` writes, so that ``torch.load(path, weights_only=True)`` reads it:
``{"identity": {...}, "state": {...}}``. The file is a zip archive, and its comment (``unzip -z``) holds the SHA-256 of
everything before it. Earlier versions wrote a line and the checksum in front of the archive; `read` takes both.
"""

import hashlib
import io
import logging
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.files.regular_file import regular_only
from zenfront.pipeline.record.files.whole_file import write_whole
from zenfront.pipeline.record.run_folder import differences

_FIRST_FORM = b"zenfront checkpoint 1\n"
_COMMENT = b"zenfront checkpoint 2, sha256 "
_END_OF_ARCHIVE = b"PK\x05\x06"
_log = logging.getLogger(__name__)


def save(folder: Path, epoch: int, identity: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write ``<folder>/<epoch>.pt`` atomically and delete all checkpoints but that of the epoch before.

    Args:
        folder: Checkpoint folder of one training run.
        epoch: Number of completed epochs, from 1.
        identity: Everything that the run depends on, as JSON values; `load` compares it.
        state: State to save, made of tensors, numbers, strings, lists and dictionaries.

    Raises:
        UserError: The checkpoint cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"identity": dict(identity), "state": dict(state)}, buffer)
    target, before = _path(folder, epoch), _path(folder, epoch - 1)
    try:
        with write_whole(target) as aside, aside.open("wb") as file:
            file.writelines(_with_checksum(buffer.getbuffer()))
        for path in folder.glob("*.pt"):
            if path not in (target, before):
                path.unlink()
    except OSError as error:
        kept = "The previous one is intact: f" if before.exists() else "F"
        raise UserError(
            f"cannot write the checkpoint {target}: {error.strerror}. {kept}ree some space and run the same command to "
            "continue."
        ) from error


def load(folder: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the state of the newest intact checkpoint, on the CPU; None if there is none. Log damaged checkpoints.

    Raises:
        UserError: The checkpoint belongs to another run, or cannot be read.
    """
    paths = sorted(folder.glob("*.pt"), reverse=True)
    for path in paths:
        stored = read(path)
        if stored is None:
            _log.warning("%s is damaged and is skipped: looking for an earlier checkpoint", path)
            continue
        if difference := list(differences(stored["identity"], dict(identity))):
            raise UserError(
                f"{path} is a checkpoint of another run:\n  " + "\n  ".join(difference) + f"\nDelete {folder}."
            )
        state: dict[str, Any] = stored["state"]
        return state
    if paths:
        _log.warning("no checkpoint in %s is usable: training restarts from the first epoch", folder)
    return None


def _path(folder: Path, epoch: int) -> Path:
    return folder / f"{epoch:06d}.pt"  # zero-padded, so that names sort in the order of the epochs


def read(path: Path) -> dict[str, Any] | None:
    """Return ``identity`` and ``state`` of a checkpoint, on the CPU, or None if the file is damaged.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        with open(path, "rb", opener=regular_only) as file:
            payload = _intact(memoryview(file.read()))
    except OSError as error:
        raise UserError(
            f"cannot read the checkpoint {path}: {error.strerror}. Make it readable or delete it."
        ) from error
    if payload is None:
        return None
    try:
        stored: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError):  # from another version of torch, or not written by Zenfront
        return None
    return stored


def evaluated_weights(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights of a state by name that its metrics belong to: with an EMA the averaged ones."""
    if "averaged" not in state:
        return dict(state["network"])
    inner = "module."  # the network inside `AveragedModel`
    return {name.removeprefix(inner): value for name, value in state["averaged"].items() if name.startswith(inner)}


def _with_checksum(archive: memoryview) -> Iterator[bytes | memoryview]:
    """Yield a zip archive without a comment, and as its comment the SHA-256 of all before it."""
    assert archive[-22:-18] == _END_OF_ARCHIVE, "torch.save writes an archive without a comment"
    length = len(_COMMENT) + 2 * hashlib.sha256().digest_size
    archive[-2:] = length.to_bytes(2, "little")
    yield archive
    yield _COMMENT + hashlib.sha256(archive).hexdigest().encode()


def _intact(content: memoryview) -> memoryview | None:
    """Return the archive in a file, or None if it does not have its checksum."""
    head = len(_FIRST_FORM)
    if content[:head] == _FIRST_FORM:
        checksum, payload = content[head : head + 32], content[head + 32 :]
        return payload if checksum == hashlib.sha256(payload).digest() else None
    payload, comment = content[: -len(_COMMENT) - 64], content[-len(_COMMENT) - 64 :]
    return content if comment == _COMMENT + hashlib.sha256(payload).hexdigest().encode() else None
