"""HTML that needs nothing but itself: every text is escaped, scripts and styles are inside."""

import html
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from zenfront.pipeline.wording import number

STYLE = """
:root { --ink: #24292f; --soft: #5b6470; --line: #dfe3e8; --blue: #0072B2; --back: #f6f8fa; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 1180px; margin: 0 auto; padding: 24px; }
h1 { font-size: 28px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 20px; margin: 40px 0 8px; }
p { margin: 6px 0 12px; max-width: 80ch; } .soft { color: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0; }
.facts div { flex: 1 1 150px; border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
.facts b { display: block; font-size: 24px; color: var(--blue); }
.scroll { overflow: auto; max-height: 480px; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 6px 12px; border-bottom: 1px solid var(--line); }
th, td { white-space: nowrap; }
th { position: sticky; top: 0; background: var(--back); }
tr:last-child td { border-bottom: 0; } .n { text-align: right; }
code, .id td:first-child { font: 12.5px ui-monospace, monospace; }
td.wrap { white-space: normal; overflow-wrap: anywhere; min-width: 36ch; max-width: 60ch; } a { color: var(--blue); }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page; Plotly's script is in it once.

    Args:
        title: Plain text.
        parts: Markup, as the other functions of this module make it.
    """
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n<script>{get_plotlyjs()}</script>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def heading(text: str, level: int = 2) -> str:
    """A heading; level 1 is the page's."""
    return f"<h{level}>{html.escape(text)}</h{level}>"


def paragraph(text: str, *, soft: bool = False) -> str:
    """A paragraph of plain text."""
    return f"<p{' class=soft' if soft else ''}>{html.escape(text)}</p>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Few numbers that matter, side by side: (what, value)."""
    boxes = "".join(f"<div><b>{html.escape(value)}</b>{html.escape(what)}</div>" for what, value in pairs)
    return f'<div class="facts">{boxes}</div>'


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, identified: bool = False) -> str:
    """A table; numbers stand on the right.

    Args:
        columns: Names; none: no head.
        rows: Texts, numbers, or None for what is not known.
        identified: Whether the first column holds ids.
    """
    numeric = [all(isinstance(cell, int | float | None) for cell in column) for column in zip(*rows, strict=True)]
    names = zip(columns, numeric or [False] * len(columns), strict=False)
    head = "".join(f"<th{_class(right)}>{html.escape(name)}</th>" for name, right in names)
    body = "".join(f"<tr>{''.join(map(_cell, row, numeric))}</tr>" for row in rows)
    kind = ' class="id"' if identified else ""
    return f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def links(pairs: Iterable[tuple[str, str, str]]) -> str:
    """A table of (what, relative address, shown text)."""
    shown = [(html.escape(what), html.escape(address), html.escape(text)) for what, address, text in pairs]
    rows = "".join(
        f'<tr><td>{what}</td><td class="wrap"><a href="{to}">{text}</a></td></tr>' for what, to, text in shown
    )
    return f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'


def figure(drawn: go.Figure, name: str) -> str:
    """An interactive figure; the page holds the script.

    Args:
        drawn: The figure.
        name: Its id in the page.
    """
    config = {"displaylogo": False, "responsive": True}
    return str(drawn.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=config))


def _class(numeric: bool) -> str:
    return ' class="n"' if numeric else ""


def _cell(value: object, numeric: bool) -> str:
    text = number(value) if value is None or isinstance(value, int | float) else str(value)
    if len(text) > 24 and not numeric:
        return f'<td class="wrap">{html.escape(text).replace(",", ",<wbr>")}</td>'
    return f"<td{_class(numeric)}>{html.escape(text)}</td>"
