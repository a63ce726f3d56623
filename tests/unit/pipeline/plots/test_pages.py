"""Pages escape every text, and figures fit a narrow screen."""

from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from zenfront.pipeline.plots import html
from zenfront.pipeline.plots.interactive import front_figure
from zenfront.pipeline.plots.narrow import least_width, narrow_layout, values_of
from zenfront.pipeline.plots.series import FRONT, Axis, Group

ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;"


class _Page(HTMLParser):
    """The tags with their attributes, and the text outside of scripts and styles."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.scripts = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts += data
        elif self.open and self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize(
    ("block", "times"),
    [
        (html.heading(ATTACK, 1), 1),
        (html.heading(ATTACK, 3), 1),
        (html.paragraph(ATTACK), 1),
        (html.facts([(ATTACK, ATTACK)]), 2),
        (html.table([ATTACK, "short"], [[ATTACK, "a"], [ATTACK, "b"]], identified=True), 3),
        (html.table([], [[ATTACK, ATTACK]]), 2),
        (html.links([(ATTACK, ATTACK, ATTACK)]), 2),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_every_text_is_escaped(block: html.Block, times: int) -> None:
    page = _Page(html.page(ATTACK, [block]))
    assert page.text.count(ATTACK) == times + 1  # the title
    assert not page.all("img")
    assert not page.all("script")


def test_texts_of_a_figure_cannot_end_its_script() -> None:
    figure = go.Figure(go.Scatter(x=[1], y=[2], name=ATTACK)).update_layout(title=ATTACK)
    page = _Page(html.page("title", [html.figure(figure, "one")]))
    assert not page.all("img")
    assert not any(script.startswith("alert(1)") for script in page.scripts.splitlines())
    assert page.all("title")


def test_plotly_is_included_once_and_only_for_figures() -> None:
    figures = [html.figure(go.Figure(go.Scatter(x=[1], y=[2])), name) for name in "ab"]
    assert len(html.page("no figure", [html.paragraph("text")])) < 20_000
    assert html.page("two", figures).count("plotly.js v") == html.page("one", figures[:1]).count("plotly.js v") > 0


def test_a_page_offers_no_upload() -> None:
    """Plotly.js shows a button that sends the data to Plotly's own service unless it is told not to."""
    assert '"showSendToCloud": false' in html.page("one", [html.figure(go.Figure(go.Scatter(x=[1], y=[2])), "a")])


def test_all_rows_of_a_table_are_in_the_page_and_many_are_folded() -> None:
    short = _Page(html.page("short", [html.table(["n"], [[i] for i in range(100)])]))
    long = _Page(html.page("long", [html.table(["n"], [[i] for i in range(101)])]))
    assert len(short.all("tr")) == 1 + 100
    assert not short.all("input")
    assert len(long.all("tr")) == 1 + 101
    assert "Show all 101 rows" in long.text


def test_columns_of_numbers_are_aligned_on_the_right() -> None:
    genes = "d1=1,w1=64,b1=2,g1=1,d2=11"
    page = _Page(
        html.page(
            "t",
            [html.table(["id", "flops", "mixed", "genes"], [["a", 1234567, 1, genes]] * 2 + [["b", None, "x", "-"]])],
        )
    )
    cells = [attributes.get("class") for attributes in page.all("td")]
    assert cells == [None, "n", None, "wrap"] * 2 + [None, "n", None, None]
    assert [attributes.get("class") for attributes in page.all("th")] == [None, "n", None, None]
    assert "1,234,567" in page.text
    assert genes in page.text


def test_a_page_with_several_parts_has_contents() -> None:
    page = _Page(html.page("t", [html.heading(name) for name in ("one", "two", "three")]))
    targets = {f"#{attributes['id']}" for attributes in page.all("h2")}
    assert {attributes["href"] for attributes in page.all("a")} == targets
    assert len(targets) == 3


def _front(objectives: int) -> go.Figure:
    axes = [Axis(f"score {i}", "nats", "maximise", False) for i in range(objectives)]
    return front_figure(axes, [Group("front", FRONT, np.eye(objectives), [""] * objectives)])


def test_panels_stand_below_each_other_on_a_narrow_screen() -> None:
    layout = narrow_layout(_front(3))
    assert [layout[f"xaxis{i}.domain"] for i in ("", 2, 3)] == [[0, 1]] * 3
    domains = [layout[f"yaxis{i}.domain"] for i in ("", 2, 3)]
    assert all(upper[0] > lower[1] for upper, lower in pairwise(domains))
    assert domains[0][1] == 1
    assert domains[2][0] == pytest.approx(0)
    inside = layout["height"] - layout["margin.t"] - layout["margin.b"]
    assert all((top - bottom) * inside >= 250 for bottom, top in domains)


def test_panels_of_a_grid_are_stacked_in_the_order_of_reading() -> None:
    grid = make_subplots(rows=2, cols=2)
    for row, column in ((1, 1), (1, 2), (2, 1), (2, 2)):
        grid.add_scatter(x=[1], y=[2], row=row, col=column)
    layout = narrow_layout(grid)
    tops = [layout[f"yaxis{i}.domain"][1] for i in ("", 2, 3, 4)]
    assert tops == sorted(tops, reverse=True)


def test_an_empty_panel_takes_no_room() -> None:
    grid = make_subplots(rows=1, cols=3)
    grid.add_scatter(x=[1], y=[2], row=1, col=1).add_scatter(x=[1], y=[2], row=1, col=2)
    layout = narrow_layout(grid.update_xaxes(visible=False, col=3))
    assert layout["yaxis2.domain"][0] == pytest.approx(0)
    assert "yaxis3.domain" not in layout


def test_a_second_axis_in_the_same_panel_is_left_alone() -> None:
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    figure.add_scatter(x=[1], y=[2]).add_scatter(x=[1], y=[3], yaxis="y2")
    assert not any(key.endswith("domain") for key in narrow_layout(figure))


def test_the_wide_layout_is_that_of_the_figure() -> None:
    figure = _front(3)
    wide = values_of(figure, narrow_layout(figure))
    assert wide["height"] == figure.layout.height
    assert wide["xaxis2.domain"] == list(figure.layout.xaxis2.domain)
    assert wide["dragmode"] is None


def test_parallel_coordinates_scroll_rather_than_shrink() -> None:
    assert least_width(_front(3)) == 0
    assert least_width(_front(5)) >= 5 * 100
