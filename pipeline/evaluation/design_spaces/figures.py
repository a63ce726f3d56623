"""Figures of a comparison of design spaces: described once, drawn for the page and as PNG."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zenfront.pipeline.analysis.distributions.edf import Edf
from zenfront.pipeline.analysis.distributions.studies import Spread
from zenfront.pipeline.evaluation.design_spaces.comparison import Comparison, Distribution
from zenfront.pipeline.plots.interactive import LAYOUT
from zenfront.pipeline.plots.series import PALETTE
from zenfront.pipeline.seeds import numpy_generator

CURVE = 800
"""Most steps of a curve that are drawn."""
POINTS = 400
"""Most models of a sample that are drawn as points."""
BINS = 20
"""Bins of the trend of the error over a complexity."""
TEXT = "#333333"


@dataclass(frozen=True, eq=False)
class Series:
    """Points of one sample in a figure.

    Attributes:
        name: Name of the sample.
        x: (n,).
        y: (n,).
        kind: Steps that hold to the next point, a line, points, or bars from zero.
        band: (2, m), lower and upper end of an interval around the series; None: no interval.
        band_x: (m,), where the band is known; None: at `x`.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    kind: Literal["steps", "line", "points", "bars"]
    band: np.ndarray | None = None
    band_x: np.ndarray | None = None


@dataclass(frozen=True)
class Plot:
    """A figure: its file name, title, labels of the axes and series, which are coloured by their name."""

    key: str
    title: str
    x: str
    y: str
    series: Sequence[Series]
    log: bool = False


def plots(comparison: Comparison) -> list[Plot]:
    """Return the figures of a comparison, the most important first."""
    found = comparison.distributions
    share = "share of the models below"
    drawn = [
        Plot("edf", "Distribution of all models", comparison.measure, share, [_curve(one, one.plain) for one in found])
    ]
    if comparison.binning:
        equal = [_curve(one, one.normalised, band=False) for one in found if one.normalised]
        names = " and ".join(comparison.settings.complexities)
        drawn.append(Plot("normalised", f"Distribution at equal {names}", comparison.measure, share, equal))
    for name in comparison.settings.complexities:
        trend = [series for one in found for series in _trend(one, name)]
        drawn.append(Plot(f"error_{name}", f"Error and {name}: models, mean ± 2 sd", name, comparison.measure, trend))
        counts = _histogram(found, name)
        drawn.append(Plot(f"models_{name}", f"Models by {name}", name, "share of the models", counts))
    efficiency = [_spread(one, one.random_search) for one in found]
    sizes = [_spread(one, one.sample_sizes) for one in found]
    return [
        *drawn,
        Plot("random_search", "Best of m random models, mean ± 2 sd", "m", comparison.measure, efficiency, log=True),
        Plot("sample_size", "D of m models against all, mean ± 2 sd", "m", "D", sizes, log=True),
    ]


def _curve(one: Distribution, function: Edf, *, band: bool = True) -> Series:
    """Return a distribution function, thinned to the steps that can be seen."""
    keep = np.unique(np.linspace(0, len(function.errors) - 1, CURVE).round().astype(int))
    x, y = function.errors[[0, *keep]], np.concatenate([[0.0], function.below[keep + 1]])
    return Series(one.sample.name, x, y, "steps", one.band if band else None, one.grid if band else None)


def _trend(one: Distribution, name: str) -> Iterator[Series]:
    """Yield mean ± 2 sd of the errors in bins of a complexity, and some of the models."""
    values, errors = one.sample.complexities[name], one.sample.errors
    edges = np.linspace(values.min(), values.max(), BINS + 1)
    cells = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1)
    parts = [(errors[cells == cell], (edges[cell] + edges[cell + 1]) / 2) for cell in range(BINS)]
    known = [(float(part.mean()), float(part.std(ddof=1)), middle) for part, middle in parts if len(part) > 1]
    if known:
        mean, deviation, middle = np.array(known).T
        band = np.array([mean - 2 * deviation, mean + 2 * deviation])
        yield Series(one.sample.name, middle, mean, "line", band)
    drawn = np.sort(numpy_generator(0, "edf", "points", one.sample.name).permutation(len(errors))[:POINTS])
    yield Series(one.sample.name, values[drawn], errors[drawn], "points")


def _histogram(found: Sequence[Distribution], name: str) -> list[Series]:
    every = np.concatenate([one.sample.complexities[name] for one in found])
    edges = np.linspace(every.min(), every.max(), 2 * BINS + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    counted = [(one, np.histogram(one.sample.complexities[name], edges)[0]) for one in found]
    return [Series(one.sample.name, middle, counts / counts.sum(), "bars") for one, counts in counted]


def _spread(one: Distribution, spreads: Sequence[Spread]) -> Series:
    size = np.array([spread.size for spread in spreads])
    mean = np.array([spread.mean for spread in spreads])
    known = [(s.size, s.mean - 2 * s.deviation, s.mean + 2 * s.deviation) for s in spreads if s.deviation is not None]
    drawn, *band = np.array(known).T
    return Series(one.sample.name, size, mean, "line", np.array(band), drawn)


def colours(plot: Plot) -> dict[str, str]:
    """Return the colour of each sample of a figure."""
    names = dict.fromkeys(series.name for series in plot.series)
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(names)}


def interactive(plot: Plot) -> go.Figure:
    """Return the figure for the page."""
    figure, colour = go.Figure(), colours(plot)
    named: set[str] = set()
    for series in plot.series:
        if series.band is not None:
            figure.add_trace(_band(series, colour[series.name]))
        figure.add_trace(_trace(series, colour[series.name], first=series.name not in named))
        named.add(series.name)
    figure.update_xaxes(title=html.escape(plot.x), type="log" if plot.log else "linear")
    figure.update_yaxes(title=html.escape(plot.y))
    return figure.update_layout(**LAYOUT, barmode="overlay", height=440)


def _band(series: Series, colour: str) -> go.Scatter:
    assert series.band is not None
    x = series.x if series.band_x is None else series.band_x
    low, high = series.band
    return go.Scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        mode="lines",
        fill="toself",
        fillcolor=colour,
        opacity=0.18,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=html.escape(series.name),
    )


def _trace(series: Series, colour: str, *, first: bool) -> go.Scatter | go.Bar:
    name = html.escape(series.name)
    shared = {"x": series.x, "y": series.y, "name": name, "legendgroup": name, "showlegend": first}
    if series.kind == "bars":
        return go.Bar(**shared, marker={"color": colour}, opacity=0.5)
    if series.kind == "points":
        return go.Scatter(**shared, mode="markers", marker={"color": colour, "size": 4, "opacity": 0.35})
    line = {"color": colour, "width": 2, "shape": "hv" if series.kind == "steps" else "linear"}
    return go.Scatter(**shared, mode="lines", line=line)


def save_png(plot: Plot, path: Path) -> None:
    """Draw the figure as a PNG."""
    figure = Figure(figsize=(7, 4.4), dpi=150)
    figure.set_layout_engine("constrained")
    panel, colour = figure.add_subplot(), colours(plot)
    named: set[str] = set()
    for series in plot.series:
        label = None if series.name in named else series.name.replace("$", r"\$")
        named.add(series.name)
        _draw(panel, series, colour[series.name], label)
    if plot.log:
        panel.set_xscale("log")
    panel.set_xlabel(plot.x.replace("$", r"\$"), color=TEXT)
    panel.set_ylabel(plot.y.replace("$", r"\$"), color=TEXT)
    panel.set_title(plot.title.replace("$", r"\$"), color=TEXT, fontsize=11, loc="left")
    panel.grid(True, color="#E6E8EB")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False)
    figure.savefig(path)


def _draw(panel: Axes, series: Series, colour: str, label: str | None) -> None:
    if series.band is not None:
        x = series.x if series.band_x is None else series.band_x
        panel.fill_between(x, *series.band, color=colour, alpha=0.18, linewidth=0)
    if series.kind == "bars":
        width = float(series.x[1] - series.x[0]) if len(series.x) > 1 else 1.0
        panel.bar(series.x, series.y, width=width, color=colour, alpha=0.5, label=label)
    elif series.kind == "points":
        panel.scatter(series.x, series.y, s=6, color=colour, alpha=0.35, label=label, linewidths=0)
    elif series.kind == "steps":
        panel.step(series.x, series.y, where="post", color=colour, linewidth=1.6, label=label)
    else:
        panel.plot(series.x, series.y, color=colour, linewidth=1.6, label=label)
