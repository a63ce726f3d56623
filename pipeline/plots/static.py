"""The front as a PNG: objectives in pairs."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from zenfront.pipeline.plots.series import Axis, Group, panels

WIDTH, HEIGHT = 4.6, 4.2
"""Size of a panel, in inches."""
TEXT = "#333333"


def save_panels(axes: Sequence[Axis], groups: Sequence[Group], title: str, path: Path) -> None:
    """Draw a panel for every pair of objectives, three in a row, and write a PNG.

    Args:
        axes: The m objectives; a single one is drawn over the order of the values.
        groups: Architectures by group, from the background to the foreground.
        title: Title above all panels.
        path: Path of the file.
    """
    pairs = panels(len(axes)) or [(0, 0)]
    columns = min(len(pairs), 3)
    rows = math.ceil(len(pairs) / columns)
    figure = Figure(figsize=(WIDTH * columns + 0.4, HEIGHT * rows + 0.8), dpi=150)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    for number, (x, y) in enumerate(pairs, start=1):
        _panel(figure.add_subplot(rows, columns, number), axes, groups, x, y)
    figure.suptitle(title.replace("$", r"\$"), color=TEXT, fontsize=13)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=10)
    figure.savefig(path)


def _panel(panel: Axes, axes: Sequence[Axis], groups: Sequence[Group], x: int, y: int) -> None:
    for level, group in enumerate(groups):
        if len(group.values):
            alone = x == y
            horizontal = range(len(group.values)) if alone else group.values[:, x]
            panel.scatter(
                horizontal,
                group.values[:, y],
                s=group.look.size**2,
                c=group.look.colour,
                marker=group.look.marker,
                label=f"{group.name} ({len(group.values)})",
                alpha=0.55 if level == 0 and len(groups) > 1 and group.look.size < 5 else 0.95,
                linewidths=0.5 if group.look.size > 4 else 0,
                edgecolors="white",
                zorder=2 + level,
            )
    _axis(panel, "x", axes[x] if x != y else None)
    _axis(panel, "y", axes[y])
    panel.grid(True, which="major", color="#E6E8EB", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color("#9AA0A6")
    panel.tick_params(which="both", colors=TEXT, labelsize=9)


def _axis(panel: Axes, side: str, axis: Axis | None) -> None:
    label = (axis.label if axis else "in order").replace("$", r"\$")
    (panel.set_xlabel if side == "x" else panel.set_ylabel)(label, color=TEXT, fontsize=10)
    if axis and axis.log:
        (panel.set_xscale if side == "x" else panel.set_yscale)("log")
        line = panel.xaxis if side == "x" else panel.yaxis
        line.set_minor_locator(LogLocator(subs="auto", numticks=12))
        line.set_minor_formatter(NullFormatter())
