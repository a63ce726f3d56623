"""The report of a comparison of design spaces: a page, figures and files."""

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.design_spaces.comparison import Comparison
from zenfront.pipeline.evaluation.design_spaces.figures import interactive, plots, save_png
from zenfront.pipeline.evaluation.design_spaces.wording import (
    READING,
    order_table,
    pair_table,
    random_search_table,
    range_table,
    sample_table,
    summary,
)
from zenfront.pipeline.plots import html
from zenfront.pipeline.record.files.json_file import write_json


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
    """Write edf.html, edf.csv, edf.json and the figures edf.<figure>.png; return the path of the first.

    Raises:
        UserError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
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
    body += [html.paragraph(f"{line}.") for line in summary(main, score=study.is_score)]
    for plot in plots(main):
        body += [html.heading(plot.title), html.figure(interactive(plot), plot.key)]
    body += [html.heading("Samples"), html.table(*sample_table(main))]
    body += [html.heading("Differences"), html.table(*pair_table(main)), html.paragraph(READING, soft=True)]
    body += [html.heading("Random search"), html.table(*random_search_table(main))]
    if (ranges := range_table(main))[1]:
        body += [html.heading("Best ranges of hyper-parameters"), html.table(*ranges)]
    for heading, kind, others in (
        ("The same comparison without training", "score", study.scores),
        ("The same comparison under other settings", "setting", study.settings),
    ):
        if others:
            body += [html.heading(heading), html.table(*order_table(main, others, kind))]
    return html.page(title, body)


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
    """Write a row for every model: sample, error, weight at equal complexity, complexities."""
    names = list(comparison.settings.complexities)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "error", "weight", *names])
        for one in comparison.distributions:
            sample = one.sample
            for i, error in enumerate(sample.errors):
                weight = "" if one.weights is None else f"{one.weights[i]:.6g}"
                values = (f"{sample.complexities[name][i]:.9g}" for name in names)
                writer.writerow([sample.name, f"{error:.6g}", weight, *values])
