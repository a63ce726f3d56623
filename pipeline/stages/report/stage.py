"""Stage 4: tables, figures and one HTML page; and the comparison of several runs."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.plots import html
from zenfront.pipeline.plots.interactive import front_figure
from zenfront.pipeline.plots.series import axes, groups
from zenfront.pipeline.plots.static import save_panels
from zenfront.pipeline.plots.trained import save_trained_figure
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.record.score_record import read_whole
from zenfront.pipeline.results.front import Front, Member
from zenfront.pipeline.stages.report.comparison import compare
from zenfront.pipeline.stages.report.optuna_export import save_study
from zenfront.pipeline.stages.report.run_page import STUDY, report_page
from zenfront.pipeline.stages.report.trained_blocks import TRAINED_PICTURE, drawable

__all__ = ["compare", "report"]


def report(folder: RunFolder) -> Path:
    """Write ``report/`` of a run and return the path of its index.html.

    The files are index.html, front.html, front.png, front.csv, study.journal, and trained.png if a network was trained
    to the end and the search has a cost.

    Raises:
        UserError: The folder holds no run, or no front yet; it cannot be written.
    """
    record = RunRecord.read(folder)
    read_whole(folder, record.experiment)  # a report on scores that are lost would be of another search
    if record.front is None:
        raise UserError(
            f"{folder.front} is missing: there is no front to report. Run {command('select', folder.path)} first."
        )
    shown = groups(record)
    experiment = record.experiment
    dimensions = axes(experiment.objectives, np.vstack([group.values for group in shown]), experiment.code)
    drawn = front_figure(dimensions, shown)
    title = f"{record.experiment.name}: the front of {record.front.evaluations} architectures"
    try:
        folder.report.mkdir(parents=True, exist_ok=True)
        page = html.page(title, [html.heading(title, 1), html.figure(drawn, "front")])
        (folder.report / "front.html").write_text(page, encoding="utf-8")
        save_panels(dimensions, shown, title, folder.report / "front.png")
        if trained := drawable(record):
            heading = (
                f"{experiment.name}: {len(trained.finished)} of {len(trained.networks)} networks trained to the end"
            )
            picture, known = folder.report / TRAINED_PICTURE, record.trained_baselines
            save_trained_figure([(experiment.name, trained)], heading, picture, baselines=known)
        _write_csv(folder.report / "front.csv", record, record.front)
        save_study(folder.report / STUDY, record)
        (folder.report / "index.html").write_text(report_page(record, drawn), encoding="utf-8")  # last: all is there
    except OSError as error:
        raise UserError(f"cannot write {folder.report}: {error.strerror}.") from error
    return folder.report / "index.html"


def _write_csv(path: Path, record: RunRecord, front: Front) -> None:
    """Write a row per network: id, notation, selected, scores, their standard errors, genes, test accuracy.

    With rounds: also the round, whether it is on the front of the search, and what the round predicted.
    """
    rows = [_csv_row(record, member, member.id in front.selected) for member in front.networks]
    names: Sequence[str] = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _csv_row(record: RunRecord, member: Member, selected: bool) -> dict[str, Any]:
    tested = record.test_accuracies(member.id)
    return {
        "id": member.id,
        "notation": member.notation,
        "selected": int(selected),
        **_round_columns(record, member),
        **member.values,
        **{f"{name}_error": value for name, value in member.errors.items()},
        **member.architecture.mapping,
        **_tested_columns(record, tested),
    }


def _tested_columns(record: RunRecord, tested: Sequence[float]) -> dict[str, Any]:
    if not tested:
        return {}
    train, mean = record.experiment.train, float(np.mean(tested))
    if train.function:
        return {f"{train.compared.name}_mean": mean, "seeds": len(tested)}
    return {"test_accuracy_mean": mean, "test_accuracies": len(tested)}


def _round_columns(record: RunRecord, member: Member) -> dict[str, Any]:
    if not record.rounds:
        return {}
    columns: dict[str, Any] = {"on_search_front": int(member in record.members)}
    if found := record.round_of(member.id):
        network = found.networks[found.ids.index(member.id)]
        columns |= {"round": found.number, "chosen_by": network.by, "predicted": network.predicted}
    return columns
