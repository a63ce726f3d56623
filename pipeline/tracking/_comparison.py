"""A comparison of several runs as an MLflow run of its own."""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zenfront.pipeline.record.provenance import read_origin
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.tracking._entries import Entry
from zenfront.pipeline.tracking._limits import flat
from zenfront.pipeline.tracking._mirror import trouble
from zenfront.pipeline.tracking._store import Store

logger = logging.getLogger(__name__)


def log_comparison(records: Sequence[RunRecord], measured: Mapping[str, Any], folder: Path) -> None:
    """Send a comparison to the store of its first run; sent again, it goes to the same MLflow run.

    The metrics are hypervolume.<run> and coverage.<run>.<other run>. If the store does not answer, a warning is
    logged; the files of the comparison exist anyway.

    Args:
        records: Records of the runs.
        measured: ``hypervolume`` by name, ``coverage`` by name and name, ``reference`` by score.
        folder: Folder whose files become artifacts.
    """
    first, now = records[0], time.time()
    runs = [read_origin(record.folder).run for record in records]
    measures = {name: measured[name] for name in ("hypervolume", "coverage")}
    entry = Entry(
        key="",
        name=f"compare {', '.join(measured['hypervolume'])}",
        start=now,
        end=now,
        status="FINISHED",
        params=flat({"reference": measured["reference"]}),
        metrics={name: float(value) for name, value in flat(measures).items()},
        tags={"zenfront.compares": ", ".join(str(record.folder.path.resolve()) for record in records)},
        files=tuple(sorted(path for path in folder.iterdir() if path.is_file())),
    )
    identity = "compare-" + hashlib.sha256(",".join(runs).encode()).hexdigest()[:16]
    try:
        Store(first.experiment, first.folder.path.parent, identity).send(entry)
    except Exception as error:  # tracking never stops the work, whatever happens to it
        logger.warning("%s", trouble(first.folder, first.experiment, error))
