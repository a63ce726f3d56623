"""Interactive figures. Names that a user can choose are escaped, because Plotly interprets markup."""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from zenfront.pipeline.plots.series import PALETTE, SCORED, Axis, Group, panels
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.metric import Metric

MANY = 2000
"""Number of points above which a group is drawn with WebGL."""
LAYOUT: dict[str, Any] = {
    "template": "plotly_white",
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#333333"},
    "margin": {"l": 70, "r": 20, "t": 60, "b": 60},
    "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
}
DASHES = ("solid", "dot", "dash", "longdash", "dashdot")


def front_figure(axes: Sequence[Axis], groups: Sequence[Group]) -> go.Figure:
    """Draw the front over all feasible architectures in pairs of objectives, or in parallel coordinates from four on.

    Args:
        axes: Axes of the m objectives.
        groups: Groups from the background to the foreground.
    """
    if len(axes) > 3:
        return _parallel(axes, groups)
    pairs = panels(len(axes)) or [(0, 0)]
    figure = make_subplots(rows=1, cols=len(pairs), horizontal_spacing=0.08)
    for column, (x, y) in enumerate(pairs, start=1):
        for group in groups:
            figure.add_trace(_scatter(group, x, y, legend=column == 1), row=1, col=column)
        if x != y:
            figure.update_xaxes(_axis(axes[x]), row=1, col=column)
        figure.update_yaxes(_axis(axes[y]), row=1, col=column)
    return figure.update_layout(**LAYOUT, height=520)


def hypervolume_figure(record: RunRecord) -> go.Figure:
    """Draw hypervolume and front size over the evaluations."""
    rows = [row for row in record.generations if row.hypervolume is not None]
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    evaluations = [row.evaluations for row in rows]
    for name, values, colour, second in (
        ("hypervolume", [row.hypervolume for row in rows], PALETTE[0], False),
        ("members of the front", [row.front for row in rows], PALETTE[3], True),
    ):
        line = {"color": colour, "width": 2, "dash": "dot" if second else "solid"}
        trace = go.Scatter(x=evaluations, y=values, name=name, mode="lines+markers", line=line)
        figure.add_trace(trace, secondary_y=second)
    figure.update_xaxes(title="architectures scored")
    figure.update_yaxes(title="hypervolume", secondary_y=False)
    figure.update_yaxes(title="members of the front", secondary_y=True, showgrid=False, tickmode="auto")
    figure.update_yaxes(range=[0, 1.15 * max([row.front for row in rows], default=1)], secondary_y=True)
    return figure.update_layout(**LAYOUT, height=380)


def training_figure(record: RunRecord) -> go.Figure:
    """Draw the metric over the epochs: a colour for each architecture, a dash for each seed."""
    figure = go.Figure()
    colours: dict[str, str] = {}
    train = record.experiment.train
    metric, column = train.tabled, train.recorded if train.function else "val_accuracy"
    curves = record.curves()
    for run in curves:
        colours.setdefault(run.architecture, PALETTE[len(colours) % len(PALETTE)])
    for run in sorted(curves, key=lambda run: list(colours).index(run.architecture)):
        dash = DASHES[record.experiment.train.seeds.index(run.seed) % len(DASHES)]
        epochs = [epoch for epoch in curves[run] if column in epoch.metrics]
        figure.add_scatter(
            x=[epoch.epoch for epoch in epochs],
            y=[metric.scale * epoch.metrics[column] for epoch in epochs],
            mode="lines",
            name=html.escape(f"{run.architecture[:8]}, seed {run.seed}"),
            line={"color": colours[run.architecture], "dash": dash, "width": 2},
        )
    figure.update_xaxes(title="epoch", rangemode="tozero").update_yaxes(title=_validated(metric))
    legend = {"orientation": "v", "x": 1.02, "y": 1}
    return figure.update_layout(**LAYOUT | {"legend": legend}, height=460)


def _validated(metric: Metric) -> str:
    return html.escape(f"validation {metric.axis}" if metric.is_accuracy else metric.axis)


def _scatter(group: Group, x: int, y: int, *, legend: bool) -> go.Scatter | go.Scattergl:
    kind = go.Scattergl if len(group.values) > MANY else go.Scatter
    look = group.look
    return kind(
        x=list(range(len(group.values))) if x == y else group.values[:, x].tolist(),
        y=group.values[:, y].tolist(),
        mode="markers",
        name=html.escape(f"{group.name} ({len(group.values)})"),
        legendgroup=html.escape(group.name),
        showlegend=legend,
        text=[_hover(text) for text in group.texts],
        hovertemplate="%{text}<extra></extra>",
        marker={
            "color": look.colour,
            "symbol": look.symbol,
            "size": look.size + 2,
            "opacity": 0.5 if look.size < 5 else 0.95,
            "line": {"width": 0.6 if look.size > 4 else 0, "color": "white"},
        },
    )


def _hover(text: str) -> str:
    """Return the text as markup with lines of at most 60 characters."""
    return "<br>".join(html.escape(piece) for line in text.split("\n") for piece in _folded(line, 60))


def _folded(line: str, width: int) -> Iterator[str]:
    """Yield pieces of a line, cut after commas if there are any."""
    while len(line) > width:
        end = line.rfind(",", 0, width) + 1 or width
        yield line[:end]
        line = line[end:]
    yield line


def _axis(axis: Axis) -> Mapping[str, Any]:
    ticks = {"type": "log", "dtick": 1, "exponentformat": "power"} if axis.log else {}
    return {"title": html.escape(axis.label), **ticks}


def _parallel(axes: Sequence[Axis], groups: Sequence[Group]) -> go.Figure:
    """Draw a line per member of the fronts across all objectives; values that span decades are logarithms."""
    shown = [group for group in groups if len(group.values) and group.look is not SCORED]
    values = np.vstack([group.values for group in shown])
    number = np.concatenate([np.full(len(group.values), i) for i, group in enumerate(shown)])
    steps = max(len(shown), 1)
    scale = [(edge, group.look.colour) for i, group in enumerate(shown) for edge in (i / steps, (i + 1) / steps)]
    bar = {"tickvals": list(range(steps)), "ticktext": [html.escape(group.name) for group in shown]}
    line = {"color": number, "colorscale": scale, "cmin": -0.5, "cmax": steps - 0.5, "showscale": True, "colorbar": bar}
    dimensions = [_dimension(axis, column) for axis, column in zip(axes, values.T, strict=True)]
    figure = go.Figure(go.Parcoords(line=line, dimensions=dimensions))
    return figure.update_layout(**LAYOUT | {"margin": {"l": 90, "r": 20, "t": 90, "b": 40}}, height=520)


def _dimension(axis: Axis, column: np.ndarray) -> dict[str, Any]:
    label = html.escape(axis.name + (f" [{axis.unit}]" if axis.unit else ""))
    if not axis.log:
        return {"label": label, "values": column.tolist()}
    powers = np.linspace(np.log10(column.min()), np.log10(column.max()), 6)
    ticks = {"tickvals": powers.tolist(), "ticktext": [f"{10**power:.3g}" for power in powers]}
    return {"label": label, "values": np.log10(column).tolist(), **ticks}
