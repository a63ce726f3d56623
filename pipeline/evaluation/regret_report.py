"""Regret of selection rules as a table, a page and files."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.regret import RegretSettings, RuleRegret
from zenfront.pipeline.evaluation.sample import Sample
from zenfront.pipeline.plots import html
from zenfront.pipeline.record.files.json_file import write_json

READING = (
    "Regret is the best accuracy at a FLOPs level or below, minus the best of the selected architectures at that "
    "level or below. The table shows the mean over the levels ± its standard deviation over random subsets of the"
    " architectures, and after the slash the mean over the subsets of the largest value over the levels. Every "
    "rule selects from the same subsets and is compared with the best of its subset. The levels are the FLOPs "
    "that occur, or at most 20 quantiles where few architectures have equal FLOPs. front: the non-dominated "
    "first, then the next front, and the most isolated of the last one; stratified: round-robin over the FLOPs "
    "levels, the best by the score first; top: the best by the score. A plus sums the logarithms of the ranks as "
    "AZ-NAS does. Less of a cost is better as an objective of a front, and more is better elsewhere."
)


def table_columns(settings: RegretSettings) -> list[str]:
    """Return the names of the columns of the table."""
    return ["rule", *(f"{n} networks" for n in settings.budgets)]


def table_rows(results: Sequence[RuleRegret]) -> list[list[str]]:
    """Return the rows of the table: mean ± deviation / mean of the largest."""
    return [
        [result.rule, *(f"{s.mean:.2f} ± {s.deviation:.2f} / {s.worst:.1f}" for s in result.by_budget.values())]
        for result in results
    ]


def table_title(sample: Sample, settings: RegretSettings) -> str:
    """Return the title of the table: subsets, sample, source of the accuracies."""
    n = len(sample.truth.accuracy)
    size = round(settings.share * n)
    subsets = f"{settings.subsets} random subsets of {size} of {n} architectures of {sample.space.name}"
    return f"Regret, mean ± deviation / mean of the largest: {subsets}; {sample.truth.source}"


def write_report(results: Sequence[RuleRegret], sample: Sample, settings: RegretSettings, folder: Path) -> Path:
    """Write regret.html, regret.csv and regret.json; return the path of the first.

    Raises:
        UserError: The folder cannot be written.
    """
    table = html.table(table_columns(settings), table_rows(results))
    blocks = [html.heading("Regret", 1), html.heading(table_title(sample, settings)), table, html.paragraph(READING)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_csv(folder / "regret.csv", results)
        (folder / "regret.html").write_text(html.page("Regret", blocks), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}.") from error
    rules = {result.rule: {n: asdict(summary) for n, summary in result.by_budget.items()} for result in results}
    document = {"study": asdict(settings), "architectures": len(sample.truth.accuracy), "rules": rules}
    write_json(folder / "regret.json", document)
    return folder / "regret.html"


def _write_csv(path: Path, results: Sequence[RuleRegret]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["rule", "networks", "mean", "deviation", "worst", "whole", "whole_worst"])
        for result in results:
            for n, summary in result.by_budget.items():
                writer.writerow([result.rule, n, *(f"{value:.4f}" for value in asdict(summary).values())])
