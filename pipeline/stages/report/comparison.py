"""Comparison of several runs: their trained fronts, then the fronts of their searches, in figures and numbers."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from zenfront.pipeline.plots.trained import save_trained_figure
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.run_folder import RunFolder, differences
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.stages.report.trained_blocks import TRAINED_PICTURE
from zenfront.pipeline.stages.report.trained_comparison import (
    ComparedFronts,
    compare_trained,
    comparison_blocks,
    obstacle,
    trained_cautions,
)


@dataclass(frozen=True)
class _Part:
    """One part of a comparison: its blocks of the page, its numbers for comparison.json, and its cautions."""

    blocks: list[html.Block]
    numbers: Mapping[str, Any]
    cautions: list[str]


def compare(folders: Sequence[RunFolder]) -> Path:
    """Compare two runs or more by their trained fronts and by the fronts of their searches; return the page's path.

    The comparison is written to ``<runs of the first>/_compared/<names>/`` (index.html, comparison.json, trained.png,
    fronts.png) and logged as an MLflow run to the store of the first run. Trained fronts can be compared over the costs
    that they share, fronts of searches if their objectives are the same; what cannot be compared is left out.

    Raises:
        UserError: A folder holds no front; a run is given twice; neither kind of front can be compared; the folder
            cannot be written.
    """
    records = [RunRecord.read(folder) for folder in folders]
    _require_fronts(records)
    names = _names(records)
    untrained, unlike = obstacle(names, records), _other_objectives(records)
    if untrained and unlike:
        raise UserError(f"{unlike} The trained fronts cannot be compared either: {untrained}.")
    left_out = _left_out(records, untrained, unlike)
    folder = folders[0].path.parent / "_compared" / _folder_name(names, records)
    title = f"Fronts of {', '.join(names)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trained = None if untrained else compare_trained(names, records)
        parts = [_trained(trained, trained_cautions(names, records), folder)] if trained else []
        parts += [] if unlike else [_searches(names, records, folder)]
        blocks = [block for part in parts for block in part.blocks]
        page = html.page(title, [html.heading(title, 1), *map(html.paragraph, left_out), *blocks])
        (folder / "index.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}.") from error
    numbers = {name: value for part in parts for name, value in part.numbers.items()}
    cautions = [caution for part in parts for caution in part.cautions]
    document = {"runs": names, "cautions": cautions, "left_out": left_out, **numbers}
    write_json(folder / "comparison.json", document)
    tracking.log_comparison(records, document, folder, trained.fronts if trained else {})
    return folder / "index.html"


def _trained(compared: ComparedFronts, cautions: list[str], folder: Path) -> _Part:
    title = f"Trained fronts of {', '.join(compared.fronts)}"
    save_trained_figure(list(compared.fronts.items()), title, folder / TRAINED_PICTURE)
    figure, *tables = comparison_blocks(compared)
    blocks = [html.heading("Trained fronts"), figure, *map(html.paragraph, cautions), *tables]
    return _Part(blocks, {"trained": compared.to_row()}, cautions)


def _searches(names: Sequence[str], records: Sequence[RunRecord], folder: Path) -> _Part:
    objectives, cautions = records[0].experiment.objectives, _cautions(names, records)
    measured = measures(names, [_losses(record, objectives) for record in records], objectives)
    shown = [front_group(record, name, i) for i, (record, name) in enumerate(zip(records, names, strict=True))]
    dimensions = axes(objectives, np.vstack([group.values for group in shown]), records[0].experiment.code)
    save_panels(dimensions, shown, f"Fronts of {', '.join(names)}", folder / "fronts.png")
    figure = html.figure(front_figure(dimensions, shown), "fronts")
    tables = _tables(names, measured, objectives)
    blocks = [html.heading("Fronts of the searches"), figure, *map(html.paragraph, cautions), *tables]
    return _Part(blocks, measured, cautions)


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


def _require_fronts(records: Sequence[RunRecord]) -> None:
    paths = [record.folder.path.resolve() for record in records]
    if len(set(paths)) < len(paths):
        raise UserError(f"a run cannot be compared with itself, but got {', '.join(p.name for p in paths)}.")
    for record in records:
        if record.front is None:
            raise UserError(
                f"{record.folder.front} is missing: there is no front to compare. "
                f"Run {command('select', record.folder.path)} first."
            )


def _other_objectives(records: Sequence[RunRecord]) -> str | None:
    """Return a sentence if the objectives of a search are not those of the first, else None."""
    first = records[0].experiment
    for other in (record.experiment for record in records[1:]):
        if {*other.objectives} != {*first.objectives}:
            described = [
                f"{e.name}: {', '.join(f'{o.direction} {o.score}' for o in e.objectives)}" for e in (first, other)
            ]
            return f"only fronts of the same objectives can be compared, but got {'; '.join(described)}."
    return None


def _left_out(records: Sequence[RunRecord], untrained: str | None, unlike: str | None) -> list[str]:
    """Return a sentence for each part that is left out; none about trained fronts if nothing was trained."""
    sentences = []
    if untrained and any(record.trained for record in records):
        sentences.append(f"The trained fronts are left out: {untrained}.")
    if unlike:
        sentences.append(f"The fronts of the searches are left out: {unlike}")
    return sentences


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
        html.heading("Hypervolume", 3),
        html.table(("run", "hypervolume"), list(measured["hypervolume"].items())),
        html.paragraph(
            f"In units of the box around all fronts, below one reference point: {point}. Higher is better; "
            f"{REFERENCE}^{len(objectives)} = {REFERENCE ** len(objectives):.4g} is the most.",
            soft=True,
        ),
        html.heading("Coverage", 3),
        html.table(("share covered by", *names), covers),
        html.paragraph(
            "The share of the column's front that members of the row's front equal or dominate "
            "(Zitzler and Thiele, 1999). Both directions count: they need not add up to one.",
            soft=True,
        ),
    ]
