"""A τ and the end of an interval may be exactly 0."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes

from zenfront.pipeline.analysis.assessment import Assessment
from zenfront.pipeline.analysis.resampling import Estimate
from zenfront.pipeline.evaluation.correlation import Correlations, correlate
from zenfront.pipeline.evaluation.correlation_report import interval_figure, save_figure
from zenfront.pipeline.evaluation.sample import Sample

ONE = Estimate(0.4, 0.0, 0.8)
UNKNOWN = Estimate(None)
SCORES = {"zen": Assessment(20, 0, ONE, ONE, ONE, UNKNOWN, 0, UNKNOWN, 0.5, "flops", ONE, {})}


def test_a_tau_of_zero_is_sorted_by_its_value(make_sample: Callable[..., Sample]) -> None:
    """The second half mirrors the first one, so that as many pairs are concordant as discordant."""
    n = 12
    scores = {
        "snip": [-i for i in range(n)],
        "naswot": [abs(2 * i - n + 1) for i in range(n)],
        "synflow": [1] * n,
        "zen": list(range(n)),
        "flops": [i * i for i in range(n)],
    }
    [found] = correlate(make_sample(list(range(n)), scores), [], seed=0)
    assert found.scores["naswot"].kendall.value == 0
    assert list(found.scores)[2:] == ["naswot", "snip", "synflow"]
    assert found.scores["synflow"].kendall.value is None


@pytest.fixture
def part(make_sample: Callable[..., Sample]) -> Correlations:
    return Correlations("", 20, 0.0, None, SCORES, {}, make_sample([1.0], {}))


def test_an_interval_that_ends_at_zero_is_drawn_to_zero(
    part: Correlations, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn: list[Any] = []
    plot = Axes.plot

    def record(self: Axes, *args: Any, **rest: Any) -> Any:
        drawn.append(args[0])
        return plot(self, *args, **rest)

    monkeypatch.setattr(Axes, "plot", record)
    save_figure(part, tmp_path / "figure.png")
    assert drawn == [[0.0, 0.8]]


def test_the_interactive_interval_has_the_same_ends(part: Correlations) -> None:
    overall, equal = interval_figure(part).data
    assert list(overall.x) == [0.4]
    assert list(overall.error_x.array) == pytest.approx([0.4])
    assert list(overall.error_x.arrayminus) == pytest.approx([0.4])
    assert list(equal.x) == []


def test_an_unknown_end_is_drawn_at_the_value(part: Correlations) -> None:
    scores = {"zen": Assessment(20, 0, Estimate(0.4), ONE, ONE, UNKNOWN, 0, UNKNOWN, 0.5, "flops", ONE, {})}
    overall = interval_figure(replace(part, scores=scores)).data[0]
    assert list(overall.error_x.array) == list(overall.error_x.arrayminus) == [0]
