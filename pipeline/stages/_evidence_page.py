"""Evidence as a figure and as a page."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from pipeline.analysis.evidence import Evidence
from pipeline.analysis.resampling import Estimate
from pipeline.stages import _page
from pipeline.stages._figures import LAYOUT, MANY
from pipeline.stages._points import BLUE, GREY, VERMILLION
from pipeline.stages._sample import Sample

if TYPE_CHECKING:
    from pipeline.stages.correlate import Part

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
BIAS = (
    "For each property: τ of score and property, and after the arrow the partial τ of score and accuracy with "
    "that property held fixed."
)


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


def evidence_page(parts: Sequence["Part"], tables: Sequence[Table]) -> str:
    """The page: figures of the whole, then a table and the biases of each part."""
    title = f"Evidence on {parts[0].sample.space.name}"
    body = [_page.heading(title, 1), _page.paragraph(READING)]
    body.append(_page.figure(_interval_figure(parts[0].scores), "intervals"))
    for part, (name, columns, rows) in zip(parts, tables, strict=True):
        body += [_page.heading(name), _page.table(columns, rows)]
        body += [_page.paragraph(f"{score}: {reason}.", soft=True) for score, reason in part.skipped.items()]
        body += _undefined(part.scores)
        body += [_page.heading("Bias", 3), _page.table(*_bias(part.scores))]
    body += [_page.paragraph(BIAS, soft=True), _page.heading("Scores against accuracy")]
    body.append(_page.figure(_scatter_figure(parts[0].sample, list(parts[0].scores)[:SHOWN]), "scatter"))
    return _page.page(title, body)


def _undefined(scores: Mapping[str, Evidence]) -> list[str]:
    missing = [f"{name} on {e.undefined}" for name, e in scores.items() if e.undefined]
    return [_page.paragraph(f"Undefined and left out: {', '.join(missing)}.", soft=True)] if missing else []


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
            y=[html.escape(name) for name in known],
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
    figure = make_subplots(rows=lines, cols=columns, subplot_titles=[html.escape(name) for name in names])
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
            text=[f"{html.escape(name)} {value:.4g}" for value in values[here]],
            hovertemplate="%{text}, accuracy %{y:.2f}<extra></extra>",
            showlegend=False,
        )
        figure.add_trace(trace, row=position // columns + 1, col=position % columns + 1)
    figure.update_xaxes(title="rank of the value").update_yaxes(title="accuracy")
    return figure.update_layout(**LAYOUT, height=60 + 300 * lines)
