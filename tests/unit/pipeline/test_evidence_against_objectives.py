"""Warnings about objectives that are known to fail on the space of a search."""

import json
from typing import Any

import pytest

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.checks import evidence
from zenfront.pipeline.experiment.config import Experiment

MEASURED = {
    "nasbench201": {
        "task": "CIFAR-10",
        "family": ["darts"],
        "table": "benchmarks/table.csv",
        "scores": {
            "zen": {"n": 900, "tau_equal_flops": [0.0, -0.1, 0.1], "baseline": "params", "difference": [-0.1, -0.2, 0]},
            "naswot": {
                "n": 900,
                "tau_equal_flops": [0.4, 0.3, 0.5],
                "baseline": "params",
                "difference": [0, -0.1, 0.1],
            },
            "synflow": {
                "n": 900,
                "tau_equal_flops": [0, -0.1, 0.1],
                "baseline": "params",
                "difference": [0.1, 0.05, 0.2],
            },
            "depth": {"n": 900, "tau_equal_flops": [0, -0.1, 0.1], "baseline": "params", "difference": [0, -0.1, 0.1]},
        },
    }
}


def _experiment(space: str, *scores: str) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": space,
            "task": {"channels": 3, "height": 32, "width": 32, "classes": 10},
            "objectives": [{"score": score, "direction": "maximise"} for score in scores],
        }
    )


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_measured", lambda: MEASURED)


@pytest.mark.usefixtures("measured")
def test_a_warning_names_scores_that_fail_both_criteria_and_the_measurement() -> None:
    (line,) = evidence.cautions(_experiment("nasbench201", "zen", "naswot", "synflow", "depth", "snip"))
    assert line.startswith("zen is not known to hold here: on nasbench201, it tells nothing at equal FLOPs (τ +0.00 [")
    assert "no more than params" in line
    assert "900 architectures, CIFAR-10, see benchmarks/table.csv" in line
    assert "\n" not in line


@pytest.mark.usefixtures("measured")
def test_the_warning_covers_the_family_and_no_other_space() -> None:
    (line,) = evidence.cautions(_experiment("darts", "zen"))
    assert "on nasbench201, a space of the same family as darts" in line
    assert list(evidence.cautions(_experiment("anynet3", "zen"))) == []


def test_the_shipped_file_names_existing_entries_and_enough_architectures() -> None:
    shipped: dict[str, Any] = json.loads(evidence.MEASURED.read_text(encoding="utf-8"))
    for space, measured in shipped.items():
        assert {space, *measured["family"]} <= set(spaces.names())
        assert set(measured["scores"]) <= set(proxies.names())
        for score in measured["scores"].values():
            assert score["n"] >= 500
            for name in ("tau", "tau_equal_flops", "difference"):
                value, low, high = score[name]
                assert -2 <= low <= value <= high <= 2
