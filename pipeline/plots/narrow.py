"""The layout of a figure on a narrow screen: one panel below the other."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

PANEL, GAP = 300, 84
"""Height of a panel, and the distance between two, in pixels; the distance holds ticks, titles and labels."""
MARGIN = {"l": 56, "r": 12, "t": 24, "b": 56}
ENTRY, LEGEND = 20, 240
"""Height of an entry of the legend, and the most that the legend adds to the height, in pixels."""
DIMENSION = 130
"""Width of an axis of parallel coordinates, in pixels."""


def narrow_layout(figure: go.Figure) -> dict[str, Any]:
    """Return what changes in the layout of a figure, as `Plotly.relayout` takes it: dotted keys and values.

    Panels side by side are stacked in the order of reading, the legend stands above them, and dragging does not zoom,
    so that a finger can scroll the page.
    """
    panels = _panels(figure)
    entries = sum(trace.type != "parcoords" and trace.showlegend is not False for trace in figure.data)
    legend = min(ENTRY * entries, LEGEND) if entries > 1 else 0
    changes: dict[str, Any] = {f"margin.{side}": width for side, width in _margins(figure).items()}
    changes |= {
        "dragmode": False,
        "legend.orientation": "h",
        "legend.x": 0,
        "legend.y": 1.02,
        "legend.yanchor": "bottom",
    }
    if len(panels) > 1:
        total = PANEL * len(panels) + GAP * (len(panels) - 1)
        for position, (x, y) in enumerate(panels):
            top = 1 - position * (PANEL + GAP) / total
            changes[f"{x}.domain"], changes[f"{y}.domain"] = [0, 1], [max(top - PANEL / total, 0), top]
        return changes | {"height": total + MARGIN["t"] + MARGIN["b"] + legend}
    return changes | {"height": (figure.layout.height or 450) + legend}


def values_of(figure: go.Figure, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that the layout of a figure has under dotted keys; None: Plotly's default."""
    found = {key: figure.layout[key] for key in keys}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def least_width(figure: go.Figure) -> int:
    """Return the width in pixels below which the figure cannot be read; 0: any width will do."""
    return max((DIMENSION * len(trace.dimensions) for trace in figure.data if trace.type == "parcoords"), default=0)


def _margins(figure: go.Figure) -> dict[str, int]:
    """Margins never grow; those of parallel coordinates and of long labels stay, since their text stands in them."""
    if least_width(figure):
        return {}
    drawn = figure.layout.margin
    kept = {"l": drawn.l} if drawn.l and drawn.l > 100 else {}
    return MARGIN | kept


def _panels(figure: go.Figure) -> list[tuple[str, str]]:
    """Return the pairs of axes (names in the layout) of the visible panels, in the order of reading."""
    shown = (axis for axis in figure.select_xaxes() if axis.visible is not False)
    pairs = [(axis.plotly_name, f"yaxis{(axis.anchor or 'y')[1:]}") for axis in shown]

    def place(pair: tuple[str, str]) -> tuple[float, float]:
        across, up = (figure.layout[name].domain or (0.0, 1.0) for name in pair)
        return -up[0], across[0]

    return sorted(pairs, key=place)
