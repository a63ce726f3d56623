"""Values of measurements on devices, kept when they are taken, so that none is taken twice."""

import fcntl
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zenfront.pipeline.record.files.ledger import Ledger, read_ledger

PLACE = "ZENFRONT_MEASURED"
"""Environment variable with a folder that the runs of several experiments share."""


@dataclass(frozen=True)
class KeptValues:
    """Values by device, one ledger each.

    The record of a search holds the same values, but a worker hands several of them over at a time, and other searches
    of the run ask for the same architectures.

    Attributes:
        folder: Folder of the ledgers. Where a machine does not have it, values are not kept there.
        setting: Text that tells measurements of one architecture apart: the task, the code of the space.
    """

    folder: Path
    setting: str

    @staticmethod
    def of(folder: Path | str, setting: str) -> "KeptValues":
        """Return the values that are kept in the shared folder, or else in that of the run."""
        return KeptValues(Path(os.environ.get(PLACE) or folder), setting)

    @staticmethod
    def prepare(folder: Path) -> Path:
        """Make the folder that the values are kept in; return the given one, in whose place another may be shared."""
        KeptValues.of(folder, "").folder.mkdir(parents=True, exist_ok=True)
        return folder

    def recall(self, device: str, key: str, measure: Callable[[], float]) -> float:
        """Return the value of a measurement, which is taken if it is not known.

        Args:
            device: Name of the device.
            key: Text that tells measurements with this setting apart.
            measure: Takes the measurement.
        """
        path, whole = self.folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', device)}.jsonl", f"{self.setting}; {key}"
        for row in read_ledger(path)[0] if path.exists() else ():
            if row["key"] == whole:
                return float(row["value"])
        value = measure()
        if self.folder.is_dir():
            with open(path.with_suffix(".lock"), "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                with Ledger(path) as ledger:
                    ledger.append([{"key": whole, "value": value}])
        return value
