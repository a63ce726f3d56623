"""The metrics that a search exports; the Grafana dashboard uses no others."""

import json
import re
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from zenfront.pipeline.cluster import metrics
from zenfront.pipeline.cluster.metrics import SearchMetrics
from zenfront.pipeline.progress import SearchProgress

GRAFANA = Path(__file__).parents[4] / "tune_configs/cluster/grafana.json"


class _Exported:
    """Stand-in for Ray's counters and gauges."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.gauges: dict[str, float] = {}
        self.labels: set[str] = set()

    def counter(self, name: str, description: str, tag_keys: tuple[str, ...]) -> Any:
        return self._metric(name, tag_keys, counter=True)

    def gauge(self, name: str, description: str, tag_keys: tuple[str, ...]) -> Any:
        return self._metric(name, tag_keys, counter=False)

    def _metric(self, name: str, tag_keys: tuple[str, ...], counter: bool) -> Any:
        exported = self
        self.labels.update(tag_keys)
        (self.counters if counter else self.gauges)[name] = 0

        class Metric:
            def set_default_tags(self, tags: dict[str, str]) -> None:
                assert set(tags) <= set(tag_keys)

            def inc(self, value: float, tags: dict[str, str] | None = None) -> None:
                assert value > 0  # Ray raises otherwise
                exported.counters[name + (f" {tags['reason']}" if tags else "")] += int(value)

            def set(self, value: float) -> None:
                exported.gauges[name] = value

        return Metric()


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> _Exported:
    exported = _Exported()
    monkeypatch.setattr(metrics, "Counter", exported.counter)
    monkeypatch.setattr(metrics, "Gauge", exported.gauge)
    return exported


def _progress(evaluations: int, **others: Any) -> SearchProgress:
    return SearchProgress(generation=1, evaluations=evaluations, total=100, rate=2.5, **others)


def test_counters_grow_by_what_is_new_and_gauges_show_the_last_state(exported: _Exported) -> None:
    metrics = SearchMetrics("a run")
    metrics.show(_progress(40))
    metrics.show(_progress(40, front=3))
    metrics.show(_progress(64, front=5, hypervolume=1.25))
    assert exported.counters["zenfront_candidates_scored"] == 64
    assert exported.gauges["zenfront_front_size"] == 5
    assert exported.gauges["zenfront_hypervolume"] == 1.25
    assert exported.gauges["zenfront_candidates_per_second"] == 2.5


def test_failures_are_counted_by_kind_so_that_values_in_a_reason_make_no_series(exported: _Exported) -> None:
    metrics = SearchMetrics("a run")
    metrics.show(_progress(8, failures={"ntk: LinAlgError: matrix 17": 1, "zen: the value is inf": 2}))
    metrics.show(_progress(9, failures={"ntk: LinAlgError: matrix 17": 1, "ntk: LinAlgError: matrix 18": 1}))
    assert exported.counters["zenfront_failures ntk: LinAlgError"] == 2
    assert exported.counters["zenfront_failures zen: the value is inf"] == 2


def test_the_dashboard_uses_only_exported_metrics_and_labels(exported: _Exported) -> None:
    SearchMetrics("a run")
    ours = {f"ray_{name}_total" for name in exported.counters} | {f"ray_{name}" for name in exported.gauges}
    panels = import_module("ray.dashboard.modules.metrics.dashboards.default_dashboard_panels")
    rays = set(re.findall(r"\bray_\w+", Path(str(panels.__file__)).read_text(encoding="utf-8")))
    dashboard = json.loads(GRAFANA.read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries = [*expressions, *(variable["query"] for variable in dashboard["templating"]["list"])]
    asked = {name for query in queries for name in re.findall(r"\bray_\w+", query)}
    assert asked >= ours, "a metric that nobody sees"
    assert asked <= ours | rays
    labels = {label for query in queries for label in re.findall(r"\b(\w+)=~", query)}
    assert labels <= exported.labels
