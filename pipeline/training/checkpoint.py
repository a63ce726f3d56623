"""Atomic checkpoints with a checksum; the last two are kept."""

import hashlib
import io
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.files.regular_file import regular_only
from zenfront.pipeline.record.files.whole_file import write_whole
from zenfront.pipeline.record.run_folder import differences

_MAGIC = b"zenfront checkpoint 1\n"
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
    payload = buffer.getbuffer()
    target, before = _path(folder, epoch), _path(folder, epoch - 1)
    try:
        with write_whole(target) as aside, aside.open("wb") as file:
            file.writelines([_MAGIC, hashlib.sha256(payload).digest(), payload])
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
        stored = _read(path)
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


def _read(path: Path) -> dict[str, Any] | None:
    """Return the content of a checkpoint, or None if it is damaged."""
    try:
        with open(path, "rb", opener=regular_only) as file:
            content = file.read()
    except OSError as error:
        raise UserError(
            f"cannot read the checkpoint {path}: {error.strerror}. Make it readable or delete it."
        ) from error
    head = len(_MAGIC)
    payload = content[head + 32 :]
    if content[:head] != _MAGIC or content[head : head + 32] != hashlib.sha256(payload).digest():
        return None
    try:
        stored: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError):  # from another version of torch, or not written by Zenfront
        return None
    return stored
