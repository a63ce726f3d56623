"""Correlations of scores as a table, a figure, a page and files."""

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

from zenfront.pipeline.analysis.assessment import PAIRS, Assessment
from zenfront.pipeline.analysis.resampling import Estimate
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.correlation import Correlations
from zenfront.pipeline.evaluation.sample import BASELINES, Sample
from zenfront.pipeline.plots import html
from zenfront.pipeline.plots.interactive import LAYOUT
from zenfront.pipeline.plots.series import BLUE, GREY, VERMILLION
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.seeds import numpy_generator

SHOWN = 12
"""Number of scores that are drawn against the accuracy."""
POINTS = 400
"""Most points in a panel: a browser draws them as SVG, since the panels below each other are too high for WebGL."""
READING = (
    "τ is Kendall's τ-b and ρ is Spearman's, with the 95 % interval of 500 bootstrap resamples in brackets. τ at equal "
    "FLOPs, or at FLOPs within 10 % where equal ones are rare, counts only the pairs of architectures that cost the "
    f"same, so that a score that merely counts the cost gains nothing there; it is undefined below {PAIRS} pairs. The "
    "verdict is the difference of τ to the best free score on the same architectures and resamples. It is undecided if "
    "the interval includes 0 or the probability of a chance, corrected for the number of scores (Holm) and for the "
    "choice among the free ones, exceeds 5 %: a wrong verdict on any of the scores is expected in one table of twenty. "
    "A score that is usually minimised has its sign changed; more of a cost is taken to be better. Weighted τ counts "
    "mistakes among the best most. Reliability is the share of a score's variance among architectures of equal FLOPs "
    "that is not due to the random weights."
)
LOOKS = ((BLUE, "o", "circle"), (VERMILLION, "D", "diamond"))
"""Colour, and marker of Matplotlib and of Plotly, of τ overall and at equal FLOPs."""
BIAS = (
    "For each property: τ of the score with the property, and after the arrow the partial τ of the score with the "
    "accuracy, the property held fixed."
)


def table_columns(part: Correlations) -> tuple[str, ...]:
    """Return the names of the columns; one of them says how near the costs are that it compares."""
    equal = f"τ at {_equal_flops(part)} (pairs)"
    known = ("reliability",) if part.sample.reliabilities else ()
    return ("score", "n", *known, "τ", "ρ", "weighted τ", equal, "τ, best 10 %", "overlap, best 10 %", "verdict")


def _equal_flops(part: Correlations) -> str:
    return f"FLOPs within {100 * part.tolerance:.0f} %" if part.tolerance else "equal FLOPs"


def table_rows(part: Correlations) -> list[tuple[object, ...]]:
    """Return the rows of the table; the last two, if known, are the agreement of training seeds and what it allows."""
    rows: list[tuple[object, ...]] = [
        (
            name,
            e.n,
            *_reliability(part, name),
            *map(str, (e.kendall, e.spearman, e.weighted)),
            f"{e.equal_cost} ({e.pairs:,})",
            str(e.top),
            f"{100 * e.overlap:.0f} %",
            "a free score" if name in BASELINES else e.verdict,
        )
        for name, e in part.scores.items()
    ]
    if c := part.ceiling:
        measured = (c.overall, c.equal_cost, c.top)
        for label, n, row, source in (
            ("noise ceiling", c.n, measured, "one training seed against another"),
            ("perfect score", part.n, c.perfect, f"against the mean of {c.seeds:.1f} seeds, corrected for attenuation"),
        ):
            overall, equal, top = (str(Estimate(value)) for value in row)
            rows.append((label, n, *_reliability(part, ""), overall, "-", "-", equal, top, "-", source))
    return rows


def _reliability(part: Correlations, name: str) -> tuple[str, ...]:
    """Return the cell of the reliability of a score, or none if the table has no such column."""
    if not (known := part.sample.reliabilities):
        return ()
    found = known.get(name)
    if found is None or found.mean is None:
        return ("-",)
    return (f"{found.mean:.2f}" + (f" ({found.repeats} ×; one {found.single:.2f})" if found.repeats > 1 else ""),)


def table_title(part: Correlations) -> str:
    """Return the title of the table: sample, condition, source of the accuracies."""
    where = f" with {part.where}" if part.where else ""
    return f"{part.n} architectures of {part.sample.space.name}{where}; {part.sample.truth.source}"


def write_report(parts: Sequence[Correlations], folder: Path, seed: int) -> Path:
    """Write correlation.html, correlation.png, correlation.csv and correlation.json; return the path of the first.

    Raises:
        UserError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_csv(folder / "correlation.csv", parts)
        save_figure(parts[0], folder / "correlation.png")
        (folder / "correlation.html").write_text(correlation_page(parts), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}.") from error
    write_json(folder / "correlation.json", {"seed": seed, "parts": [_document(part) for part in parts]})
    return folder / "correlation.html"


def _document(part: Correlations) -> dict[str, Any]:
    scores = {name: asdict(e) | {"verdict": e.verdict} for name, e in part.scores.items()}
    return {
        "space": part.sample.space.name,
        part.sample.target: part.sample.truth.source,
        "where": part.where,
        "n": part.n,
        "equal_flops_within": part.tolerance,
        "ceiling": part.ceiling and asdict(part.ceiling) | {"perfect": part.ceiling.perfect},
        "scores": scores,
        "skipped": dict(part.skipped),
        "reliability": {name: asdict(each) for name, each in part.sample.reliabilities.items()},
    }


def _write_csv(path: Path, parts: Sequence[Correlations]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        estimates = ("tau", "rho", "weighted_tau", "tau_equal_flops", "tau_top", "difference")
        bounds = [f"{name}{end}" for name in estimates for end in ("", "_low", "_high")]
        writer.writerow(["where", "score", "n", "undefined", *bounds, "pairs", "overlap_top", "baseline", "verdict"])
        for part in parts:
            for name, e in part.scores.items():
                found = (e.kendall, e.spearman, e.weighted, e.equal_cost, e.top, e.difference)
                ends = [value for estimate in found for value in _format_ends(estimate)]
                row = [part.where, name, e.n, e.undefined, *ends, e.pairs, f"{e.overlap:.4f}", e.baseline, e.verdict]
                writer.writerow(row)


def _format_ends(estimate: Estimate) -> list[str]:
    return ["" if v is None else f"{v:.4f}" for v in (estimate.value, estimate.low, estimate.high)]


def interval(estimate: Estimate) -> tuple[float, float, float] | None:
    """Return low end, value and high end to draw; an unknown end is drawn at the value; None: nothing to draw."""
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None:
        return None
    return (value if low is None else low, value, value if high is None else high)


def save_figure(part: Correlations, path: Path) -> None:
    """Draw τ overall and at equal FLOPs, with intervals, and write a PNG."""
    names = list(part.scores)[::-1]
    figure = Figure(figsize=(7.5, 1.4 + 0.3 * len(names)), dpi=150)
    figure.set_layout_engine("constrained")
    panel = figure.add_subplot()
    for label, estimates, (colour, marker, _), shift in zip(*_series(part), LOOKS, (0.12, -0.12), strict=True):
        drawn = [(y + shift, ends) for y, name in enumerate(names) if (ends := interval(estimates[name]))]
        for y, (low, _, high) in drawn:
            panel.plot([low, high], [y, y], color=colour, linewidth=1.5)
        values = [value for _, (_, value, _) in drawn]
        panel.scatter(values, [y for y, _ in drawn], color=colour, marker=marker, label=label, zorder=3)
    panel.axvline(0, color="#9AA0A6", linewidth=1)
    panel.set_yticks(range(len(names)), [name.replace("$", r"\$") for name in names])
    panel.set_xlabel(f"Kendall's τ-b with the {part.sample.target}")
    panel.set_title(table_title(part).replace("$", r"\$"), fontsize=10, loc="left")
    panel.grid(True, axis="x", color="#E6E8EB")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="lower right")
    figure.savefig(path)


def _series(part: Correlations) -> tuple[tuple[str, str], tuple[dict[str, Estimate], dict[str, Estimate]]]:
    """Return the labels of the series of a figure, and the τ of each series by score."""
    overall = {name: assessment.kendall for name, assessment in part.scores.items()}
    equal = {name: assessment.equal_cost for name, assessment in part.scores.items()}
    return ("all", _equal_flops(part)), (overall, equal)


def correlation_page(parts: Sequence[Correlations]) -> str:
    """Return the markup of the page: figures of the whole sample, then a table and the biases of each part."""
    sample = parts[0].sample
    title = f"Correlation with the {sample.target} on {sample.space.name}"
    body = [html.heading(title, 1), html.paragraph(READING)]
    body.append(html.figure(interval_figure(parts[0]), "intervals"))
    for part in parts:
        body += [html.heading(table_title(part)), html.table(table_columns(part), table_rows(part))]
        body += [html.paragraph(f"{score}: {reason}.", soft=True) for score, reason in part.skipped.items()]
        body += _list_undefined(part.scores)
        body += [html.heading("Bias", 3), html.table(*_bias_table(part.scores))]
    body += [html.paragraph(BIAS, soft=True), html.heading(f"Scores against {sample.target}")]
    body.append(html.figure(scatter_figure(sample, list(parts[0].scores)[:SHOWN]), "scatter"))
    body.append(html.paragraph(f"A panel shows at most {POINTS} architectures, drawn at random.", soft=True))
    return html.page(title, body)


def _list_undefined(scores: Mapping[str, Assessment]) -> list[html.Block]:
    missing = [f"{name} on {e.undefined}" for name, e in scores.items() if e.undefined]
    return [html.paragraph(f"Undefined and left out: {', '.join(missing)}.", soft=True)] if missing else []


def _bias_table(scores: Mapping[str, Assessment]) -> tuple[list[str], list[list[str]]]:
    properties = list(next(iter(scores.values())).bias) if scores else []
    rows = []
    for name, assessment in scores.items():
        found = (assessment.bias[p] for p in properties)
        rows.append([name, *(f"{_short(b.correlation)} → {_short(b.held_fixed)}" for b in found)])
    return ["score", *properties], rows


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def interval_figure(part: Correlations) -> go.Figure:
    """Return the interactive figure of τ overall and at equal FLOPs, with intervals."""
    figure = go.Figure()
    for label, estimates, (colour, _, symbol) in zip(*_series(part), LOOKS, strict=True):
        drawn = {name: ends for name, estimate in estimates.items() if (ends := interval(estimate))}
        figure.add_scatter(
            x=[value for _, value, _ in drawn.values()],
            y=[escape(name) for name in drawn],
            mode="markers",
            name=label,
            marker={"color": colour, "symbol": symbol, "size": 9},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - value for _, value, high in drawn.values()],
                "arrayminus": [value - low for low, value, _ in drawn.values()],
            },
        )
    figure.update_xaxes(title=f"Kendall's τ-b with the {part.sample.target}").update_yaxes(autorange="reversed")
    return figure.update_layout(
        **LAYOUT | {"margin": {"l": 140, "r": 20, "t": 60, "b": 60}}, height=160 + 26 * len(part.scores)
    )


def scatter_figure(sample: Sample, names: Sequence[str]) -> go.Figure:
    """Return the figure of the accuracy over the rank of each score, one panel per score.

    Ranks make scores of different units comparable.
    """
    columns = 3
    lines = max(1, -(-len(names) // columns))
    figure = make_subplots(rows=lines, cols=columns, vertical_spacing=0.36 / lines)
    for position, name in enumerate(names):
        here = np.isfinite(sample.scores[name])
        values, accuracy = sample.scores[name][here], sample.truth.accuracy[here]
        rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
        drawn = np.sort(numpy_generator(0, "scatter", name).permutation(len(values))[:POINTS])
        trace = go.Scatter(
            x=rank[drawn].tolist(),
            y=accuracy[drawn].tolist(),
            mode="markers",
            marker={"size": 4, "color": BLUE, "opacity": 0.5, "line": {"color": GREY}},
            text=[f"{escape(name)} {value:.4g}" for value in values[drawn]],
            hovertemplate=f"%{{text}}, {sample.target} %{{y:.4g}}<extra></extra>",
            showlegend=False,
        )
        place = {"row": position // columns + 1, "col": position % columns + 1}
        figure.add_trace(trace, **place)
        figure.update_xaxes(title=f"rank of {escape(name)}", **place).update_yaxes(title=sample.target, **place)
    figure.update_xaxes(visible=False, selector=lambda axis: axis.title.text is None)
    figure.update_yaxes(visible=False, selector=lambda axis: axis.title.text is None)
    return figure.update_layout(**LAYOUT, height=60 + 300 * lines)
