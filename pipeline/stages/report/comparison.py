"""Comparison of several runs: fronts in one figure, hypervolumes with one reference point, coverage."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zenfront.pipeline import tracking
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.pareto import REFERENCE, bounding_box, coverage, normalised_hypervolume
from zenfront.pipeline.plots import html
from zenfront.pipeline.plots.interactive import front_figure
from zenfront.pipeline.plots.series import axes, front_group
from zenfront.pipeline.plots.static import save_panels
from zenfront.pipeline.record.json_file import write_json
from zenfront.pipeline.record.run_folder import RunFolder, differences
from zenfront.pipeline.record.run_record import RunRecord


def compare(folders: Sequence[RunFolder]) -> Path:
    """Compare the fronts of two runs or more; return the path of the page.

    The comparison is written to ``<runs of the first>/_compared/<names>/`` (index.html, fronts.png, comparison.json)
    and logged as an MLflow run to the store of the first run.

    Raises:
        UserError: A folder holds no front; the objectives differ; a run is given twice; the folder cannot be written.
    """
    records = [RunRecord.read(folder) for folder in folders]
    _require_comparable(records)
    names = _names(records)
    objectives = records[0].experiment.objectives
    fronts = [_losses(record, objectives) for record in records]
    measured = measures(names, fronts, objectives)
    cautions = _cautions(names, records)
    folder = folders[0].path.parent / "_compared" / _folder_name(names, records)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shown = [front_group(record, name, i) for i, (record, name) in enumerate(zip(records, names, strict=True))]
        dimensions = axes(objectives, np.vstack([group.values for group in shown]), records[0].experiment.code)
        title = f"Fronts of {', '.join(names)}"
        save_panels(dimensions, shown, title, folder / "fronts.png")
        parts = [html.heading(title, 1), *map(html.paragraph, cautions), *_tables(names, measured, objectives)]
        parts.insert(1, html.figure(front_figure(dimensions, shown), "fronts"))
        (folder / "index.html").write_text(html.page(title, parts), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}.") from error
    write_json(folder / "comparison.json", {"runs": names, "cautions": cautions, **measured})
    tracking.log_comparison(records, measured, folder)
    return folder / "index.html"


def measures(names: Sequence[str], fronts: Sequence[np.ndarray], objectives: Sequence[Objective]) -> dict[str, Any]:
    """Compute hypervolumes with one reference point, and how much of each front every other one covers.

    Args:
        names: Names of the runs.
        fronts: Losses (n_i, m) of each run's front.
        objectives: The m objectives.

    Returns:
        ``hypervolume``: by name, in units of the box of all fronts together; ``reference``: the reference point in the
        scores' own units, by objective; ``coverage``: C(A, B) by A, then B: the share of B's members that a member
        of A equals or dominates.
    """
    ideal, nadir = bounding_box(np.vstack(fronts))
    reference = [low + REFERENCE * ((high - low) or 1.0) for low, high in zip(ideal, nadir, strict=True)]
    named = dict(zip(names, fronts, strict=True))
    return {
        "hypervolume": {name: normalised_hypervolume(front, ideal, nadir) for name, front in named.items()},
        "reference": {o.score: o.sign * value for o, value in zip(objectives, reference, strict=True)},
        "coverage": {
            name: {other: coverage(front, covered) for other, covered in named.items() if other != name}
            for name, front in named.items()
        },
    }


def _require_comparable(records: Sequence[RunRecord]) -> None:
    paths = [record.folder.path.resolve() for record in records]
    if len(set(paths)) < len(paths):
        raise UserError(f"a run cannot be compared with itself, but got {', '.join(p.name for p in paths)}.")
    for record in records:
        if record.front is None:
            raise UserError(
                f"{record.folder.front} is missing: there is no front to compare. Run `zenfront select` first."
            )
    first = records[0].experiment
    for record in records[1:]:
        if {*record.experiment.objectives} != {*first.objectives}:
            described = [
                f"{e.name}: {', '.join(f'{o.direction} {o.score}' for o in e.objectives)}"
                for e in (first, record.experiment)
            ]
            raise UserError(f"only fronts of the same objectives can be compared, but got {'; '.join(described)}.")


def _names(records: Sequence[RunRecord]) -> list[str]:
    """Return the names of the experiments; if two are equal, the paths of the run folders."""
    names = [record.experiment.name for record in records]
    if len(set(names)) == len(names):
        return names
    return [str(record.folder.path) for record in records]


def _folder_name(names: Sequence[str], records: Sequence[RunRecord]) -> str:
    """Return the joined names if a folder can be called so, else a digest of the paths."""
    joined = ",".join(names)
    if "/" not in joined and len(joined) < 200:
        return joined
    return hashlib.sha256("\n".join(str(record.folder.path.resolve()) for record in records).encode()).hexdigest()[:16]


def _losses(record: RunRecord, objectives: Sequence[Objective]) -> np.ndarray:
    return np.array([[o.sign * member.values[o.score] for o in objectives] for member in record.members])


def _cautions(names: Sequence[str], records: Sequence[RunRecord]) -> list[str]:
    """Return a sentence for every run whose scores are not comparable with those of the first."""

    def conditions(record: RunRecord) -> dict[str, Any]:
        identity = record.experiment.identity()
        search = {name: identity["search"][name] for name in ("batch", "repeats", "seed")}
        return {"space": identity["space"], "task": identity["task"], "proxies": identity["proxies"], "search": search}

    first = conditions(records[0])
    found = []
    for name, record in zip(names[1:], records[1:], strict=True):
        if different := list(differences(first, conditions(record))):
            found.append(f"The scores of {names[0]} and {name} are not comparable: {'; '.join(different)}.")
    return found


def _tables(names: Sequence[str], measured: dict[str, Any], objectives: Sequence[Objective]) -> list[html.Block]:
    point = ", ".join(f"{name} {value:.4g}" for name, value in measured["reference"].items())
    covers = [(name, *(measured["coverage"][name].get(other) for other in names)) for name in names]
    return [
        html.heading("Hypervolume"),
        html.table(("run", "hypervolume"), list(measured["hypervolume"].items())),
        html.paragraph(
            f"In units of the box around all fronts, below one reference point: {point}. Higher is better; "
            f"{REFERENCE}^{len(objectives)} = {REFERENCE ** len(objectives):.4g} is the most.",
            soft=True,
        ),
        html.heading("Coverage"),
        html.table(("share covered by", *names), covers),
        html.paragraph(
            "The share of the column's front that members of the row's front equal or dominate "
            "(Zitzler and Thiele, 1999). Both directions count: they need not add up to one.",
            soft=True,
        ),
    ]
