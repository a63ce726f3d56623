"""Figures of the trained front: accuracy against cost, with error bars, the front's line and its picks."""

import html
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zenfront.pipeline import proxies
from zenfront.pipeline.plots.interactive import LAYOUT
from zenfront.pipeline.plots.pick_labels import Label, height_of, labels, limits, logarithmic, position
from zenfront.pipeline.plots.series import BLUE, GREEN, GREY, ORANGE, PALETTE, SYMBOLS, VERMILLION, Look
from zenfront.pipeline.results.baselines import TrainedBaseline
from zenfront.pipeline.results.trained_networks import TrainedFront, TrainedNetwork
from zenfront.pipeline.wording import number

ON_FRONT = Look(VERMILLION, "circle", "o", 8)
DOMINATED = Look(BLUE, "circle", "o", 7)
ENDED = Look(GREY, "circle-open", "o", 7)
KNOWN, DRAWN = Look(GREEN, "diamond", "D", 8), Look(GREEN, "diamond-open", "d", 7)
WIDTH, HEIGHT = 8.2, 5.0
"""Size of the picture, in inches."""
TEXT = "#333333"


def cost_label(front: TrainedFront) -> str:
    """Return the label of the axis of the first cost, with its unit."""
    name = front.costs[0]
    unit = proxies.load(name).unit if name in proxies.names() else ""
    return f"{name} [{unit}]" if unit else name


def trained_figure(front: TrainedFront, baselines: Sequence[TrainedBaseline] = ()) -> go.Figure:
    """Draw accuracy against the first cost of all networks that have an accuracy.

    Args:
        front: A front with at least one cost.
        baselines: Known networks that were trained as well.
    """
    figure = go.Figure()
    groups = [*_groups(front), *_known(baselines)]
    drawn = [network for _, _, networks in groups for network in networks]
    for name, look, networks in groups:
        figure.add_trace(_points(name, look, networks, front))
    figure.add_trace(_line(front.members, front, "trained front", VERMILLION))
    for network, words, side, height in labels(front, drawn):
        figure.add_annotation(
            x=position(network, front),
            y=height_of(network, front),
            text=html.escape(words),
            showarrow=True,
            arrowhead=0,
            ax=0,
            ay=height,
            ayref="y",
            xanchor=side,
            bgcolor="rgba(255,255,255,0.75)",
            font={"color": TEXT},
        )
    _finish(figure, front)
    return figure.update_yaxes(range=limits(front, drawn))


def trained_fronts_figure(fronts: Sequence[tuple[str, TrainedFront]]) -> go.Figure:
    """Draw the trained fronts of several runs that share their first cost.

    Args:
        fronts: Name and front of each run.
    """
    figure = go.Figure()
    for index, (name, front) in enumerate(fronts):
        look = Look(PALETTE[index % len(PALETTE)], *SYMBOLS[index % len(SYMBOLS)], 8)
        figure.add_trace(_points(name, look, front.members, front))
        figure.add_trace(_line(front.members, front, f"{name}: front", look.colour))
    return _finish(figure, fronts[0][1])


def save_trained_figure(
    fronts: Sequence[tuple[str, TrainedFront]],
    title: str,
    path: Path,
    *,
    size: tuple[float, float] = (WIDTH, HEIGHT),
    dpi: int = 150,
    baselines: Sequence[TrainedBaseline] = (),
) -> None:
    """Draw one trained front with all its networks, or the fronts of several runs, and write a PNG.

    Args:
        fronts: Name and front of each run; all share their first cost.
        title: Title above the figure.
        path: Path of the file.
        size: Width and height in inches.
        dpi: Pixels an inch.
        baselines: Known networks that were trained beside those of a single front.
    """
    figure = Figure(figsize=size, dpi=dpi)
    figure.set_layout_engine("constrained")
    panel = figure.add_subplot()
    if len(fronts) == 1:
        front = fronts[0][1]
        groups = [*_groups(front), *_known(baselines)]
        drawn = [network for _, _, networks in groups for network in networks]
        for name, look, networks in groups:
            _scatter(panel, name, look, networks, front)
        _draw_line(panel, front, VERMILLION, "trained front")
        for label in labels(front, drawn):
            _write(panel, label, front)
        panel.set_ylim(*limits(front, drawn))
        for baseline in _finished(baselines):
            if not baseline.drawn:
                _name(panel, baseline, front)
    for index, (name, front) in enumerate(fronts if len(fronts) > 1 else ()):
        look = Look(PALETTE[index % len(PALETTE)], *SYMBOLS[index % len(SYMBOLS)], 8)
        _scatter(panel, name, look, front.members, front)
        _draw_line(panel, front, look.colour, None)
    _style(panel, fronts[0][1])
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=2)  # below: it hides no point
    panel.set_title(title.replace("$", r"\$"), color=TEXT, fontsize=12, loc="left")
    figure.savefig(path)


def _groups(front: TrainedFront) -> list[tuple[str, Look, list[TrainedNetwork]]]:
    """Return the networks with an accuracy by outcome, from the background to the foreground, without empty groups."""
    known = [network for network in front.networks if network.accuracy is not None]
    ended = [network for network in known if network.status != "finished"]
    dominated = [network for network in known if network.status == "finished" and not network.on_front]
    groups = [
        (f"stopped early ({front.metric.validated} then)", ENDED, ended),
        ("trained, dominated", DOMINATED, dominated),
        ("trained, on the front", ON_FRONT, front.members),
    ]
    return [group for group in groups if group[2]]


def _known(baselines: Sequence[TrainedBaseline]) -> list[tuple[str, Look, list[TrainedNetwork]]]:
    """Return the baselines that were trained to the end, with their names in place of the notation."""
    groups = (("known networks, trained", KNOWN, False), ("random networks, trained", DRAWN, True))
    found = [
        (
            name,
            look,
            [replace(each.network, notation=each.name) for each in _finished(baselines) if each.drawn is drawn],
        )
        for name, look, drawn in groups
    ]
    return [group for group in found if group[2]]


def _finished(baselines: Sequence[TrainedBaseline]) -> list[TrainedBaseline]:
    return [each for each in baselines if each.network.status == "finished"]


def _points(name: str, look: Look, networks: Sequence[TrainedNetwork], front: TrainedFront) -> go.Scatter:
    cost = front.costs[0]
    return go.Scatter(
        x=[network.costs[cost] for network in networks],
        y=[height_of(network, front) for network in networks],
        error_y={
            "type": "data",
            "array": [front.metric.scale * (n.error or 0.0) for n in networks],
            "thickness": 1.2,
            "width": 3,
        },
        mode="markers",
        name=html.escape(f"{name} ({len(networks)})"),
        text=[_hover(network, front) for network in networks],
        hovertemplate="%{text}<extra></extra>",
        marker={
            "color": look.colour,
            "symbol": look.symbol,
            "size": look.size + 2,
            "line": {"width": 1.5 if look.symbol.endswith("open") else 0.6, "color": look.colour},
        },
    )


def _hover(network: TrainedNetwork, front: TrainedFront) -> str:
    outcome = network.status if network.status == "finished" else f"{network.status} after {network.epochs} epochs"
    lines = [
        f"{front.metric.shown(network.accuracy, network.error)}, {outcome}",
        *(f"{name} {number(value)}" for name, value in network.costs.items()),
        *(front.pick_words(pick) for pick in front.picks_of(network.architecture)),
        network.notation if len(network.notation) < 90 else network.notation[:87] + "...",
    ]
    return "<br>".join(map(html.escape, lines))


def _line(members: Sequence[TrainedNetwork], front: TrainedFront, name: str, colour: str) -> go.Scatter:
    """Return the best accuracy at most at each cost, as a staircase."""
    return go.Scatter(
        x=[network.costs[front.costs[0]] for network in members],
        y=[height_of(network, front) for network in members],
        mode="lines",
        name=html.escape(name),
        line={"color": colour, "width": 1.8, "shape": "hv"},
        hoverinfo="skip",
        showlegend=False,
    )


def _finish(figure: go.Figure, front: TrainedFront) -> go.Figure:
    axis = {"title": html.escape(cost_label(front))}
    figure.update_xaxes(**axis | ({"type": "log", "exponentformat": "power"} if logarithmic(front) else {}))
    figure.update_yaxes(title=html.escape(front.metric.axis))
    return figure.update_layout(**LAYOUT, height=480)


def _scatter(panel: Axes, name: str, look: Look, networks: Sequence[TrainedNetwork], front: TrainedFront) -> None:
    panel.errorbar(
        [network.costs[front.costs[0]] for network in networks],
        [height_of(network, front) for network in networks],
        yerr=[front.metric.scale * (network.error or 0.0) for network in networks],
        fmt=look.marker,
        color=look.colour,
        markersize=look.size,
        markerfacecolor="white" if look.symbol.endswith("open") else look.colour,
        elinewidth=1.0,
        capsize=2,
        label=f"{name} ({len(networks)})",
        zorder=3,
    )


def _draw_line(panel: Axes, front: TrainedFront, colour: str, label: str | None) -> None:
    costs = [network.costs[front.costs[0]] for network in front.members]
    panel.step(costs, [height_of(n, front) for n in front.members], where="post", color=colour, label=label, lw=1.5)


def _write(panel: Axes, label: Label, front: TrainedFront) -> None:
    cost = label.network.costs[front.costs[0]]
    panel.annotate(
        label.words,
        (cost, height_of(label.network, front)),
        xytext=(cost, label.height),
        ha=label.side,
        fontsize=9,
        color=TEXT,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        zorder=5,
        arrowprops={"arrowstyle": "-", "color": ORANGE, "relpos": (0 if label.side == "left" else 1, 0)},
    )


def _name(panel: Axes, baseline: TrainedBaseline, front: TrainedFront) -> None:
    """Write the name of a known network below it."""
    place = (baseline.network.costs[front.costs[0]], height_of(baseline.network, front))
    panel.annotate(
        baseline.name, place, xytext=(0, -9), textcoords="offset points", ha="center", va="top", fontsize=8, color=GREEN
    )


def _style(panel: Axes, front: TrainedFront) -> None:
    if logarithmic(front):
        panel.set_xscale("log")
    panel.set_xlabel(cost_label(front).replace("$", r"\$"), color=TEXT)
    panel.set_ylabel(front.metric.axis.replace("$", r"\$"), color=TEXT)
    panel.grid(True, which="major", color="#E6E8EB", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
