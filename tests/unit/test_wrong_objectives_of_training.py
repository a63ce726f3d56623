"""What trained networks are compared by: a mistake is named with its place before anything is computed."""

from collections.abc import Callable
from pathlib import Path

import pytest

Zenfront = Callable[..., tuple[int, str, str]]
RIGHT = """\
name: right
space: anynet3
task: {channels: 1, height: 8, width: 8, classes: 10}
objectives:
  - {score: zen, direction: maximise}
  - {score: flops, direction: minimise}
constraints:
  - {score: params, at_most: 2e5}
search: {population: 8, evaluations: 16}
train:
  metric: accuracy
  objectives: [accuracy, flops]
"""
WRONG = [
    ("metric missing", "[accuracy, flops]", "[flops]", "line 12: train.objectives: must name the metric, 'accuracy', "),
    (
        "other metric",
        "metric: accuracy",
        "metric: balanced_accuracy",
        "line 12: train.objectives: must name the metric",
    ),
    (
        "twice",
        "[accuracy, flops]",
        "[accuracy, flops, flops]",
        "each cost once, but got ['accuracy', 'flops', 'flops']",
    ),
    ("none", "[accuracy, flops]", "[]", "line 12: train.objectives: "),
    (
        "unknown",
        "[accuracy, flops]",
        "[accuracy, flopz]",
        "line 10: train: `objectives` must be the metric, 'accuracy', and scores of the search (zen, flops, params), "
        "but got 'flopz'",
    ),
    ("not scored", "[accuracy, flops]", "[accuracy, latency]", "line 10: train: `objectives` must be the metric, "),
    ("no cost", "[accuracy, flops]", "[accuracy, zen]", "train.objectives: 'zen' is not a cost of a trained network"),
    ("maximised", "flops, direction: minimise", "flops, direction: maximise", "but the search maximises it"),
    ("no such metric", "metric: accuracy", "metric: auc", "line 11: train.metric: must be 'accuracy' or 'balanced_acc"),
    (
        "along",
        "search:",
        "select: {rule: stratified, along: params}\nsearch:",
        "select.along must be an objective (zen",
    ),
]


def check(zenfront: Zenfront, text: str) -> tuple[int, str, str]:
    Path("wrong.yaml").write_text(text, encoding="utf-8")
    return zenfront("config", "check", "--no-data", "wrong.yaml")


@pytest.mark.parametrize(("name", "old", "new", "said"), WRONG, ids=[wrong[0] for wrong in WRONG])
def test_a_mistake_is_named_with_its_place(name: str, old: str, new: str, said: str, zenfront: Zenfront) -> None:
    assert old in RIGHT
    code, _, err = check(zenfront, RIGHT.replace(old, new))
    assert code == 2
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("objectives", ["[accuracy, flops]", "[params, accuracy]", "[accuracy]", "null"])
def test_costs_of_objectives_and_of_constraints_are_allowed(objectives: str, zenfront: Zenfront) -> None:
    code, out, _ = check(zenfront, RIGHT.replace("[accuracy, flops]", objectives))
    assert (code, out) == (0, "wrong.yaml: ok\n")
