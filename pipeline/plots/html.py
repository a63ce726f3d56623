"""Self-contained HTML pages, rendered from blocks by one template that escapes every text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import jinja2
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from zenfront.pipeline.plots.narrow import least_width, narrow_layout, values_of
from zenfront.pipeline.wording import number

TEMPLATE = Path(__file__).resolve().with_name("page.html")
LONG = 24
"""Characters from which a text may be broken into several lines."""
MANY_COLUMNS = 9
"""Columns from which a table scrolls sideways on a wide screen too."""
SHOWN = 100
"""Rows of a table that are shown before the reader asks for all."""


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the page's own."""

    kind: ClassVar[str] = "heading"
    text: str
    level: int


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text; a soft one explains what stands above it."""

    kind: ClassVar[str] = "paragraph"
    text: str
    soft: bool


@dataclass(frozen=True)
class Facts:
    """The numbers that matter most, side by side: (label, value)."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: Plain text.
        numeric: Whether its column holds numbers only, which are aligned on the right.
    """

    text: str
    numeric: bool

    @property
    def wraps(self) -> bool:
        """Whether the text may be broken into several lines."""
        return len(self.text) > LONG and not self.numeric


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        head: Names of the columns; empty: the table has no head and lists pairs of a name and a value.
        rows: The cells.
        identified: Whether the first column holds ids, set in a fixed-width font.
    """

    kind: ClassVar[str] = "table"
    head: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    identified: bool

    @property
    def wide(self) -> bool:
        """Whether it scrolls sideways on a wide screen too."""
        return len(self.head) >= MANY_COLUMNS

    @property
    def folded(self) -> bool:
        """Whether only the first rows are shown until the reader asks for all."""
        return len(self.rows) > SHOWN


@dataclass(frozen=True)
class Links:
    """A table of (name, relative address, shown text)."""

    kind: ClassVar[str] = "links"
    rows: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Figure:
    """An interactive figure.

    Attributes:
        markup: Plotly's own; the only text of a page that is not escaped.
        wide: Layout as drawn: the values of the keys of `narrow`.
        narrow: Layout below the width of a tablet.
        least: Width in pixels below which it scrolls sideways.
    """

    kind: ClassVar[str] = "figure"
    markup: str
    wide: Mapping[str, Any]
    narrow: Mapping[str, Any]
    least: int


Block = Heading | Paragraph | Facts | Table | Links | Figure


def page(title: str, blocks: Iterable[Block]) -> str:
    """Return the markup of a whole page; Plotly's script is included once if there is a figure.

    Args:
        title: Plain text.
        blocks: From top to bottom, made by the other functions of this module.
    """
    body = list(blocks)
    contents = [(i, block.text) for i, block in enumerate(body, 1) if isinstance(block, Heading) and block.level == 2]
    plotly = get_plotlyjs() if any(isinstance(block, Figure) for block in body) else None
    return _template().render(title=title, blocks=body, contents=contents, plotly=plotly, shown=SHOWN)


def heading(text: str, level: int = 2) -> Block:
    """Return a heading; level 1 is the page's own."""
    return Heading(text, level)


def paragraph(text: str, *, soft: bool = False) -> Block:
    """Return a paragraph of plain text; a soft one explains what stands above it."""
    return Paragraph(text, soft)


def facts(pairs: Iterable[tuple[str, str]]) -> Block:
    """Return the numbers that matter most, (label, value) each."""
    return Facts(tuple(pairs))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, identified: bool = False) -> Block:
    """Return a table; columns of numbers are aligned on the right.

    Args:
        columns: Names of the columns; empty: no head.
        rows: Texts, numbers, or None for what is not known.
        identified: Whether the first column holds ids.
    """
    numeric = [all(isinstance(cell, int | float | None) for cell in column) for column in zip(*rows, strict=True)]
    head = [Cell(name, numeric[i] if rows else False) for i, name in enumerate(columns)]
    body = [[Cell(_text(cell), right) for cell, right in zip(row, numeric, strict=True)] for row in rows]
    return Table(head, body, identified)


def links(rows: Iterable[tuple[str, str, str]]) -> Block:
    """Return a table of (name, relative address, shown text)."""
    return Links(tuple(rows))


def figure(drawn: go.Figure, name: str) -> Block:
    """Return an interactive figure.

    Args:
        drawn: The figure, laid out for a wide screen.
        name: Its id, unique in the page.
    """
    config = {"displaylogo": False, "responsive": True, "showSendToCloud": False}
    markup = drawn.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=config)
    narrow = narrow_layout(drawn)
    return Figure(str(markup), values_of(drawn, narrow), narrow, least_width(drawn))


def _text(value: object) -> str:
    return number(value) if value is None or isinstance(value, int | float) else str(value)


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(TEMPLATE.parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(TEMPLATE.name)
