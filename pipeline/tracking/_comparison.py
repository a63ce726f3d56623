"""A comparison of several runs as an MLflow run of its own."""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zenfront.pipeline.record.provenance import read_origin
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.trained_networks import TrainedFront
from zenfront.pipeline.tracking._entries import Entry
from zenfront.pipeline.tracking._limits import flat
from zenfront.pipeline.tracking._mirror import trouble
from zenfront.pipeline.tracking._notes import comparison_note
from zenfront.pipeline.tracking._picture import send_picture
from zenfront.pipeline.tracking._store import Store

logger = logging.getLogger(__name__)


def log_comparison(
    records: Sequence[RunRecord], measured: Mapping[str, Any], folder: Path, fronts: Mapping[str, TrainedFront]
) -> None:
    """Send a comparison to the store of its first run; sent again, it goes to the same MLflow run.

    Metrics of the searches are hypervolume.<run> and coverage.<run>.<other run>; those of the trained fronts are
    trained_hypervolume.<run>, trained_front_size.<run>, trained_coverage.<run>.<other run> and
    trained_difference.<run>.<other run>; trained_difference_low and trained_difference_high are the ends of its
    interval. If the store does not answer, a warning is logged; the files of the comparison exist anyway.

    Args:
        records: Records of the runs.
        measured: Content of comparison.json: ``runs``, the names; for the searches ``hypervolume`` by name,
            ``coverage`` by name and name, ``reference`` by score; the same, ``difference`` and ``front_size`` for the
            trained fronts in ``trained``. Either may be missing.
        folder: Folder whose files become artifacts.
        fronts: The trained fronts by name; empty if they are not compared.
    """
    first, now = records[0], time.time()
    runs = [read_origin(record.folder).run for record in records]
    files = tuple(sorted(path for path in folder.iterdir() if path.is_file()))
    entry = Entry(
        key="",
        name=f"compare {', '.join(measured['runs'])}",
        start=now,
        end=now,
        status="FINISHED",
        params=_params(measured),
        metrics=_metrics(measured),
        tags={"zenfront.compares": ", ".join(str(record.folder.path.resolve()) for record in records)},
        files=files,
        note=comparison_note(measured),
    )
    identity = "compare-" + hashlib.sha256(",".join(runs).encode()).hexdigest()[:16]
    try:
        store = Store(first.experiment, first.folder.path.parent, identity)
        store.send(entry)
        if fronts:
            send_picture(store, list(fronts.items()))
    except Exception as error:  # tracking never stops the work, whatever happens to it
        logger.warning("%s", trouble(first.folder, first.experiment, error))


def _params(measured: Mapping[str, Any]) -> dict[str, str]:
    searches = flat({"reference": measured["reference"]}) if "reference" in measured else {}
    trained = measured.get("trained")
    return searches | (flat({"trained_reference": trained["reference"]}) if trained else {})


def _metrics(measured: Mapping[str, Any]) -> dict[str, float]:
    measures = {name: measured[name] for name in ("hypervolume", "coverage") if name in measured}
    trained = measured.get("trained", {})
    measures |= {f"trained_{name}": trained[name] for name in ("hypervolume", "front_size", "coverage") if trained}
    metrics = {name: float(value) for name, value in flat(measures).items()}
    for name, others in trained.get("difference", {}).items():
        for other, difference in others.items():
            for end, value in difference.items():
                if value is not None:
                    suffix = "" if end == "value" else f"_{end}"
                    metrics[f"trained_difference{suffix}.{name}.{other}"] = value
    return metrics
