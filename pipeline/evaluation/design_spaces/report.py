"""The report of a comparison of design spaces: a page, figures and files."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.design_spaces.comparison import Comparison, Distribution
from zenfront.pipeline.evaluation.design_spaces.figures import interactive, plots, save_png
from zenfront.pipeline.evaluation.design_spaces.robustness import setting_table, varied_ranges
from zenfront.pipeline.evaluation.design_spaces.wording import (
    READING,
    order_table,
    pair_table,
    random_search_table,
    range_table,
    sample_table,
    verdicts,
)
from zenfront.pipeline.plots import html
from zenfront.pipeline.record.files.json_file import write_json

Table = tuple[list[str], list[list[object]]]
"""Columns and rows."""


@dataclass(frozen=True)
class Study:
    """All comparisons of one call.

    Attributes:
        main: By the errors, or by the first score if nothing was trained.
        is_score: Whether the main comparison is one of scores.
        scores: By each further score, by name.
        settings: By the errors under other settings, by setting.
    """

    main: Comparison
    is_score: bool = False
    scores: Mapping[str, Comparison] = field(default_factory=dict)
    settings: Mapping[str, Comparison] = field(default_factory=dict)


def write_report(study: Study, folder: Path) -> Path:
    """Write edf.html, edf.csv, edf.json and edf.<figure>.png in place of older ones; return the path of the page.

    Raises:
        UserError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("edf.*"):  # another choice of complexities has other figures
            old.unlink()
        _write_csv(folder / "edf.csv", study.main)
        for plot in plots(study.main):
            save_png(plot, folder / f"edf.{plot.key}.png")
        (folder / "edf.html").write_text(edf_page(study), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}.") from error
    write_json(folder / "edf.json", document(study))
    return folder / "edf.html"


def edf_page(study: Study) -> str:
    """Return the markup of the page: verdicts, figures, tables."""
    main = study.main
    names = [one.sample.name for one in main.distributions]
    title = f"Design spaces: {', '.join(names)}"
    body = [html.heading(title, 1)]
    body += [html.paragraph(f"{line}.") for line in verdicts(main, score=study.is_score)]
    if notes := main.notes():
        body.append(html.paragraph(f"{'. '.join(notes)}.", soft=True))
    for plot in plots(main):
        body += [html.heading(plot.title), html.figure(interactive(plot), plot.key)]
    body += [html.heading("Samples"), html.table(*sample_table(main))]
    body += [html.heading("Differences"), html.table(*pair_table(main)), html.paragraph(READING, soft=True)]
    body += [html.heading("Random search"), html.table(*random_search_table(main))]
    for heading, table in (order_tables(study) | _range_tables(study)).items():
        body += [html.heading(heading), html.table(*table)]
    return html.page(title, body)


def order_tables(study: Study) -> dict[str, Table]:
    """Return the tables that say whether the order of the samples stays, columns and rows by title."""
    main, found = study.main, {}
    reference = main.measure.partition(",")[0] if study.is_score else "the errors"
    if study.scores:
        scores = {reference: main, **study.scores} if study.is_score else study.scores
        found["Order by scores"] = order_table(main, scores, "score", reference)
    if study.settings:
        found["Order under other settings"] = order_table(main, study.settings, "setting")
        found["Errors under other settings"] = setting_table(main, study.settings)
    return found


def _range_tables(study: Study) -> dict[str, Table]:
    varied = {f"{name}, all settings": ranges for name, ranges in varied_ranges(study.settings).items()}
    table = range_table({one.sample.name: one.best_ranges for one in study.main.distributions} | varied)
    return {"Best ranges of hyper-parameters": table} if table[1] else {}


def metrics(study: Study) -> dict[str, float | None]:
    """Return D, p-values and areas by name, for tracking."""
    found: dict[str, float | None] = {}
    for one in study.main.distributions:
        found |= {f"area.{one.sample.name}": one.area, f"area_equal.{one.sample.name}": one.normalised_area}
    for pair in study.main.pairs:
        key = f"{pair.first}.{pair.second}"
        found |= {f"D.{key}": pair.plain.difference.d, f"p.{key}": pair.plain.p}
        if pair.normalised:
            found |= {f"D_equal.{key}": pair.normalised.difference.d, f"p_equal.{key}": pair.normalised.p}
    return found


def document(study: Study) -> dict[str, Any]:
    """Return the content of edf.json."""
    others = {"scores": study.scores, "settings": study.settings}
    return {"main": _comparison(study.main)} | {
        key: {name: _comparison(each) for name, each in found.items()} for key, found in others.items() if found
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    binning = comparison.binning
    return {
        "measure": comparison.measure,
        "settings": asdict(comparison.settings),
        "epsilon": comparison.epsilon,
        "bins": None if binning is None else [edges.tolist() for edges in binning.edges],
        "empty_bins": 0 if binning is None else len(binning.empty),
        "samples": [
            {
                "name": one.sample.name,
                "models": len(one.sample.errors),
                "without_error": list(one.sample.left_out),
                "area": one.area,
                "area_equal": one.normalised_area,
                "random_search": [asdict(spread) for spread in one.random_search],
                "sample_size": [asdict(spread) for spread in one.sample_sizes],
                "best_ranges": dict(one.best_ranges),
            }
            for one in comparison.distributions
        ],
        "pairs": [asdict(pair) | {"better": pair.better} for pair in comparison.pairs],
    }


def _write_csv(path: Path, comparison: Comparison) -> None:
    """Write a row for every model: sample, error, weight at equal complexity, and all that is known of it.

    `zenfront edf --table edf.csv --by sample` reads the file again.
    """
    found = [_columns(one) for one in comparison.distributions]
    names = dict.fromkeys(name for columns in found for name in columns)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        for columns in found:
            writer.writerows(dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _columns(one: Distribution) -> dict[str, Sequence[object]]:
    """Return the columns of a sample in edf.csv, of the same length each."""
    sample = one.sample
    columns: dict[str, Sequence[object]] = {"sample": [sample.name] * len(sample.errors)}
    columns["error"] = [f"{error:.9g}" for error in sample.errors]
    if one.weights is not None:
        columns["weight"] = [f"{weight:.6g}" for weight in one.weights]
    numbers = {
        name: values for name, values in {**sample.parameters, **sample.complexities}.items() if name not in columns
    }
    columns |= {name: [f"{value:.9g}" for value in values] for name, values in numbers.items()}
    return columns | ({"architecture": sample.architectures} if sample.architectures else {})
