"""The report of a study of weight sharing: a page, figures and files."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zenfront.pipeline.analysis.weight_sharing.agreement import gt_tau
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.design_spaces.figures import Plot, interactive, save_png
from zenfront.pipeline.evaluation.weight_sharing import figures
from zenfront.pipeline.evaluation.weight_sharing.ground_truth import GroundTruth
from zenfront.pipeline.evaluation.weight_sharing.instances import Arm, Instance
from zenfront.pipeline.evaluation.weight_sharing.measures import Bias, Measures
from zenfront.pipeline.evaluation.weight_sharing.wording import (
    READING,
    bias_table,
    measure_table,
    notes,
    operation_table,
    value_table,
)
from zenfront.pipeline.plots import html
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.tracking import StudyPart


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that a study found.

    Attributes:
        title: Title of the page.
        arms: The settings with their instances.
        names: Notation of each architecture.
        k: Number of last steps.
        groups: (setting, way of grouping, number of groups) of each setting.
        truth: The ground truth; None without one.
        measures: Of the settings, of the limits, and of what costs less.
        biases: Of each setting; empty without a ground truth.
        missing: Names of the scores that are left out, since some architectures have no value.
    """

    title: str
    arms: Sequence[Arm]
    names: Sequence[str]
    k: int
    groups: Sequence[tuple[str, str, int]]
    truth: GroundTruth | None
    measures: Sequence[Measures]
    biases: Sequence[Bias]
    missing: Sequence[str] = ()

    def plots(self) -> list[Plot]:
        """Return the line figures, the most important first."""
        found: list[Plot | None] = [figures.groups_against_tau(self.measures, self.groups)]
        if self.truth:
            found.insert(0, figures.tau_over_steps(self.arms, self.truth))
        return [plot for plot in (*found, figures.around_own_step(self.arms)) if plot and plot.series]


def write_report(study: Study, folder: Path) -> Path:
    """Write supernet.html, .csv, .json, supernet.rankings.csv and figures; return the path of the first.

    Raises:
        UserError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_csv(folder / "supernet.csv", *value_table(study.measures))
        _write_csv(folder / "supernet.rankings.csv", *_rankings(study))
        for plot in study.plots():
            save_png(plot, folder / f"supernet.{plot.key}.png")
        (folder / "supernet.html").write_text(page(study), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}.") from error
    write_json(folder / "supernet.json", document(study))
    return folder / "supernet.html"


def page(study: Study) -> str:
    """Return the markup of the page."""
    finished = [arm for arm in study.arms if arm.instances]
    body = [html.heading(study.title, 1)]
    body += [html.paragraph(f"{line}.") for line in notes(study.arms, study.truth is not None, study.missing)]
    body += [html.heading("Agreement"), html.table(*measure_table(study.measures, study.k))]
    body += [html.paragraph(READING, soft=True)]
    for plot in study.plots():
        drawn = interactive(plot)
        if plot.log:
            drawn.update_xaxes(tickvals=sorted({float(x) for series in plot.series for x in series.x}))
        body += [html.heading(plot.title), html.figure(drawn, plot.key)]
    if sum(len(arm.instances) for arm in finished) > 1:
        body += [html.heading("τ between all instances"), html.figure(figures.agreement_map(finished), "agreement")]
    for arm in finished:
        drawn = figures.ranking_over_steps(arm, study.truth, study.names)
        body += [html.heading(f"Ranking over the steps: {arm.name}"), html.figure(drawn, f"ranking-{arm.name}")]
    if study.biases:
        body += [html.heading("Bias towards size"), html.table(*bias_table(study.biases))]
        body += [html.heading("Operations of the best tenth"), html.table(*operation_table(study.biases))]
    return html.page(study.title, body)


def metrics(measures: Sequence[Measures]) -> dict[str, float | None]:
    """Return S-Tau, GT-Tau and T1R by name, for tracking."""
    found: dict[str, float | None] = {}
    for each in measures:
        name = ".".join(part.replace(":", "").replace(",", "") for part in (each.name, each.weights) if part)
        if each.s_tau:
            found[f"s_tau.{name}"] = each.s_tau.mean.value
        if each.gt_tau:
            found |= {f"gt_tau.{name}": each.gt_tau.mean.value, f"t1r.{name}": each.ranks[1].mean.value}
    return found


def tracked_instances(study: Study) -> list[StudyPart]:
    """Return a part for each instance: its mean accuracy and its GT-Tau over the steps, and by kind of weights."""
    return [_tracked(arm, instance, study.truth) for arm in study.arms for instance in arm.instances]


def _tracked(arm: Arm, instance: Instance, truth: GroundTruth | None) -> StudyPart:
    remaining = np.where(instance.accuracy < 0, np.nan, instance.accuracy)
    curves = {"accuracy_mean": np.nanmean(remaining, axis=1)}
    metrics: dict[str, float] = {}
    if truth:
        curves["gt_tau"] = gt_tau(instance.accuracy, truth.accuracy)
        for weights, ranking in instance.rankings.items():
            metrics[f"gt_tau.{weights}"] = float(gt_tau(ranking[None], truth.accuracy)[0])
    points = {
        name: [(int(step), float(v)) for step, v in zip(instance.steps, values, strict=True) if np.isfinite(v)]
        for name, values in curves.items()
    }
    finite = {name: value for name, value in metrics.items() if np.isfinite(value)}
    return StudyPart(f"{arm.name} {instance.number}", {"setting": arm.name, "k": arm.last}, finite, points)


def document(study: Study) -> dict[str, Any]:
    """Return the content of supernet.json."""
    return {
        "k": study.k,
        "architectures": len(study.names),
        "truth": study.truth.source if study.truth else None,
        "settings": [
            {"name": arm.name, "instances": len(arm.instances), "failures": dict(arm.failures)} for arm in study.arms
        ],
        "measures": [asdict(each) for each in study.measures],
        "biases": [asdict(each) for each in study.biases],
    }


def _rankings(study: Study) -> tuple[list[str], list[list[object]]]:
    """Return the values by which each instance ranks the architectures, one row per architecture."""
    columns, values = ["architecture"], [list[object]([name]) for name in study.names]
    if study.truth:
        columns.append("truth")
        for row, accuracy in zip(values, study.truth.accuracy, strict=True):
            row.append(float(accuracy))
    for arm in study.arms:
        for instance in arm.instances:
            for weights, ranking in instance.rankings.items():
                columns.append(f"{arm.name} {instance.number} {weights}")
                for row, value in zip(values, ranking, strict=True):
                    row.append(round(float(value), 6))
    return columns, values


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
