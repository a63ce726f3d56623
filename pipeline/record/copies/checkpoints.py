"""Checkpoints of training runs and their copies in a storage, for workers without a shared disk."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from zenfront.pipeline.record.copies.backup import DRIVER
from zenfront.pipeline.record.copies.storage import Storage
from zenfront.pipeline.training.function import OWN_FOLDER

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckpointCopies:
    """A folder with a folder of checkpoints for each training run.

    Attributes:
        folder: Absolute path. Without a storage, all workers share it.
        storage: Storage in which one worker finds the checkpoints of another.
    """

    folder: Path
    storage: Storage | None

    def fetch(self, name: str) -> str | None:
        """Fetch the checkpoints that another machine wrote; return a note for the user if the storage failed."""
        if not self.storage:
            return None
        try:
            if self.storage.read(DRIVER) is None:
                raise OSError(f"{self.storage} holds no run: is it mounted on this machine?")
            there = self.storage.files(f"checkpoints/{name}")
            newer = _newest(there) > _newest(path.name for path in (self.folder / name).glob("*.pt"))
            for path in there:
                local = self.folder.parent / path
                if newer if not _is_ours(path) else not local.exists():
                    self.storage.download(path, local)
        except OSError as error:
            _log.warning("checkpoints of %s: %s", name, error)
            return "the storage cannot be read: training goes on from the checkpoints that are on the workers"
        return None

    def keep(self, name: str) -> str | None:
        """Copy the checkpoints of a run to the storage; return a note if the storage failed."""
        if not self.storage:
            return None
        try:
            there, folder = self.storage.files(f"checkpoints/{name}"), self.folder / name
            own = (path for path in (folder / OWN_FOLDER).rglob("*") if path.is_file())
            here = {f"checkpoints/{name}/{path.relative_to(folder)}": path for path in (*own, *folder.glob("*.pt"))}
            for path, local in here.items():  # those of a function, which it writes again and again, come first
                if path not in there or not _is_ours(path):
                    self.storage.upload(local, path)
            for path in there.keys() - here.keys():
                self.storage.delete(path)
        except OSError as error:
            _log.warning("checkpoints of %s: %s", name, error)
            return "the storage cannot be written: some checkpoints are on the workers alone"
        return None


def _newest(paths: Iterable[str]) -> str:
    """Return the name of the newest checkpoint of ours, or an empty text if there is none."""
    return max((Path(path).name for path in paths if _is_ours(path)), default="")


def _is_ours(path: str) -> bool:
    """Return whether a file of a run is a checkpoint of ours, which never changes, and none of a training function."""
    return f"/{OWN_FOLDER}/" not in path
