"""Evidence as a table, a figure, a page and files."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from zenfront.pipeline.analysis.evidence import Evidence
from zenfront.pipeline.analysis.resampling import Estimate
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.correlation import Subset
from zenfront.pipeline.evaluation.sample import BASELINES, Sample
from zenfront.pipeline.plots import html
from zenfront.pipeline.plots.interactive import LAYOUT, MANY
from zenfront.pipeline.plots.series import BLUE, GREY, VERMILLION
from zenfront.pipeline.record.json_file import write_json

Table = tuple[str, Sequence[str], Sequence[Sequence[object]]]
SHOWN = 12
"""Scores that are drawn against the accuracy."""
READING = (
    "τ is Kendall's τ-b, ρ Spearman's; in brackets the 95 % interval of 500 bootstrap resamples. τ at equal FLOPs "
    "counts only the pairs of architectures that cost the same, so that a score that merely counts the cost has none. "
    "The verdict is the difference of τ to the best free score on the same architectures, paired. A score whose usual "
    "direction is to be minimised has its sign changed; of a cost more is taken to be better. Weighted τ counts "
    "mistakes among the best most."
)
COLUMNS = ("score", "n", "τ", "ρ", "weighted τ", "τ at equal FLOPs", "τ, best 10 %", "overlap, best 10 %", "verdict")
BIAS = (
    "For each property: τ of score and property, and after the arrow the partial τ of score and accuracy with "
    "that property held fixed."
)


def rows(part: Subset) -> list[tuple[object, ...]]:
    """The evidence as a table with `COLUMNS`; the last row is what one training run tells of another one."""
    table: list[tuple[object, ...]] = [
        (
            name,
            e.n,
            *map(str, (e.kendall, e.spearman, e.weighted, e.equal_cost, e.top)),
            f"{100 * e.overlap:.0f} %",
            "a free score" if name in BASELINES else e.verdict,
        )
        for name, e in part.scores.items()
    ]
    if part.ceiling:
        c = part.ceiling
        overall, equal, top = (str(Estimate(value)) for value in (c.overall, c.equal_cost, c.top))
        values = (overall, "-", "-", equal, top)
        table.append(("noise ceiling", part.n, *values, "-", "one training seed against another"))
    return table


def title(part: Subset) -> str:
    """What the table is about."""
    strata = f"{part.strata} FLOPs levels" if part.exact else f"{part.strata} quantiles of FLOPs"
    where = f" with {part.where}" if part.where else ""
    return f"{part.n} architectures of {part.sample.space.name}{where}; {strata}; {part.sample.known.source}"


def write(parts: Sequence[Subset], folder: Path, seed: int) -> Path:
    """Writes correlation.html, correlation.png, correlation.csv and correlation.json; returns the path of the first.

    Raises:
        UserError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_csv(folder / "correlation.csv", parts)
        save_figure(parts[0].scores, title(parts[0]), folder / "correlation.png")
        tables = [(title(part), COLUMNS, rows(part)) for part in parts]
        (folder / "correlation.html").write_text(evidence_page(parts, tables), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}.") from error
    write_json(folder / "correlation.json", {"seed": seed, "parts": [_document(part) for part in parts]})
    return folder / "correlation.html"


def _document(part: Subset) -> dict[str, Any]:
    scores = {name: asdict(e) | {"verdict": e.verdict} for name, e in part.scores.items()}
    return {
        "space": part.sample.space.name,
        "accuracy": part.sample.known.source,
        "where": part.where,
        "n": part.n,
        "strata": part.strata,
        "strata_exact": part.exact,
        "ceiling": part.ceiling and asdict(part.ceiling),
        "scores": scores,
        "skipped": dict(part.skipped),
    }


def _write_csv(path: Path, parts: Sequence[Subset]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        estimates = ("tau", "rho", "weighted_tau", "tau_equal_flops", "tau_top", "difference")
        bounds = [f"{name}{end}" for name in estimates for end in ("", "_low", "_high")]
        writer.writerow(["where", "score", "n", "undefined", *bounds, "overlap_top", "baseline", "verdict"])
        for part in parts:
            for name, e in part.scores.items():
                found = (e.kendall, e.spearman, e.weighted, e.equal_cost, e.top, e.difference)
                ends = [value for estimate in found for value in _ends(estimate)]
                row = [part.where, name, e.n, e.undefined, *ends, f"{e.overlap:.4f}", e.baseline, e.verdict]
                writer.writerow(row)


def _ends(estimate: Estimate) -> list[str]:
    return ["" if v is None else f"{v:.4f}" for v in (estimate.value, estimate.low, estimate.high)]


def save_figure(scores: Mapping[str, Evidence], title: str, path: Path) -> None:
    """Draws τ over all and at equal FLOPs, with intervals, and writes a PNG."""
    names = list(scores)[::-1]
    figure = Figure(figsize=(7.5, 1.4 + 0.3 * len(names)), dpi=150)
    figure.set_layout_engine("constrained")
    panel = figure.add_subplot()
    for (label, colour, marker, _), shift in zip(_series(scores), (0.12, -0.12), strict=True):
        estimates = [_part_of(scores[name], label) for name in names]
        for y, found in enumerate(estimates):
            if found.value is not None:
                ends = [found.low or found.value, found.high or found.value]
                panel.plot(ends, [y + shift] * 2, color=colour, linewidth=1.5)
        known = [(e.value, y + shift) for y, e in enumerate(estimates) if e.value is not None]
        panel.scatter([v for v, _ in known], [y for _, y in known], color=colour, marker=marker, label=label, zorder=3)
    panel.axvline(0, color="#9AA0A6", linewidth=1)
    panel.set_yticks(range(len(names)), [name.replace("$", r"\$") for name in names])
    panel.set_xlabel("Kendall's τ-b with the accuracy")
    panel.set_title(title.replace("$", r"\$"), fontsize=10, loc="left")
    panel.grid(True, axis="x", color="#E6E8EB")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="lower right")
    figure.savefig(path)


def _series(scores: Mapping[str, Evidence]) -> list[tuple[str, str, str, str]]:
    return [("all", BLUE, "o", "circle"), ("equal FLOPs", VERMILLION, "D", "diamond")]


def _part_of(evidence: Evidence, label: str) -> Estimate:
    return evidence.kendall if label == "all" else evidence.equal_cost


def evidence_page(parts: Sequence[Subset], tables: Sequence[Table]) -> str:
    """The page: figures of the whole, then a table and the biases of each part."""
    title = f"Evidence on {parts[0].sample.space.name}"
    body = [html.heading(title, 1), html.paragraph(READING)]
    body.append(html.figure(_interval_figure(parts[0].scores), "intervals"))
    for part, (name, columns, rows) in zip(parts, tables, strict=True):
        body += [html.heading(name), html.table(columns, rows)]
        body += [html.paragraph(f"{score}: {reason}.", soft=True) for score, reason in part.skipped.items()]
        body += _undefined(part.scores)
        body += [html.heading("Bias", 3), html.table(*_bias(part.scores))]
    body += [html.paragraph(BIAS, soft=True), html.heading("Scores against accuracy")]
    body.append(html.figure(_scatter_figure(parts[0].sample, list(parts[0].scores)[:SHOWN]), "scatter"))
    return html.page(title, body)


def _undefined(scores: Mapping[str, Evidence]) -> list[html.Block]:
    missing = [f"{name} on {e.undefined}" for name, e in scores.items() if e.undefined]
    return [html.paragraph(f"Undefined and left out: {', '.join(missing)}.", soft=True)] if missing else []


def _bias(scores: Mapping[str, Evidence]) -> tuple[list[str], list[list[str]]]:
    properties = list(next(iter(scores.values())).bias) if scores else []
    rows = []
    for name, evidence in scores.items():
        found = (evidence.bias[p] for p in properties)
        rows.append([name, *(f"{_short(b.correlation)} → {_short(b.held_fixed)}" for b in found)])
    return ["score", *properties], rows


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _interval_figure(scores: Mapping[str, Evidence]) -> go.Figure:
    figure = go.Figure()
    for label, colour, _, symbol in _series(scores):
        known = {name: e for name in scores if (e := _part_of(scores[name], label)).value is not None}
        figure.add_scatter(
            x=[e.value for e in known.values()],
            y=[escape(name) for name in known],
            mode="markers",
            name=label,
            marker={"color": colour, "symbol": symbol, "size": 9},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(e.high or 0.0) - (e.value or 0.0) if e.high is not None else 0.0 for e in known.values()],
                "arrayminus": [(e.value or 0.0) - (e.low or 0.0) if e.low is not None else 0.0 for e in known.values()],
            },
        )
    figure.update_xaxes(title="Kendall's τ-b with the accuracy").update_yaxes(autorange="reversed")
    return figure.update_layout(
        **LAYOUT | {"margin": {"l": 140, "r": 20, "t": 60, "b": 60}}, height=160 + 26 * len(scores)
    )


def _scatter_figure(sample: Sample, names: Sequence[str]) -> go.Figure:
    """Accuracy over the rank of the score, a panel each: monotone relations look alike whatever the unit."""
    columns = 3
    lines = max(1, -(-len(names) // columns))
    figure = make_subplots(rows=lines, cols=columns, subplot_titles=[escape(name) for name in names])
    kind = go.Scattergl if len(names) * len(sample.known.accuracy) > MANY else go.Scatter
    for position, name in enumerate(names):
        values = sample.scores[name]
        here = np.isfinite(values)
        rank = np.argsort(np.argsort(values[here], kind="stable"), kind="stable")
        trace = kind(
            x=rank.tolist(),
            y=sample.known.accuracy[here].tolist(),
            mode="markers",
            marker={"size": 4, "color": BLUE, "opacity": 0.5, "line": {"color": GREY}},
            text=[f"{escape(name)} {value:.4g}" for value in values[here]],
            hovertemplate="%{text}, accuracy %{y:.2f}<extra></extra>",
            showlegend=False,
        )
        figure.add_trace(trace, row=position // columns + 1, col=position % columns + 1)
    figure.update_xaxes(title="rank of the value").update_yaxes(title="accuracy")
    return figure.update_layout(**LAYOUT, height=60 + 300 * lines)
