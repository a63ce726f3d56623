"""Cautions: objectives that were measured to say nothing on the experiment's space or on a similar one."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from zenfront.pipeline import proxies
from zenfront.pipeline.checks.images import NOISE, looks_at_images
from zenfront.pipeline.experiment.config import Experiment

MEASURED = Path(__file__).with_name("evidence.json")


def cautions(experiment: Experiment) -> Iterator[str]:
    """Return a line for each objective that was measured to say nothing on the experiment's space or on a similar one.

    A score says nothing where its correlation with the accuracy is not above that of the best free score, and where at
    equal FLOPs the interval of its correlation includes zero or lies below it.
    """
    if experiment.task.classes is None and looks_at_images(experiment):
        yield NOISE
    for objective in experiment.objectives:
        for space, measured in _measured().items():
            known = measured["scores"].get(objective.score)
            related = experiment.space == space or experiment.space in measured["family"]
            if related and known and not proxies.load(objective.score, experiment.code).is_cost and not _holds(known):
                yield _caution(objective.score, experiment.space, space, measured, known)


def measured_family(space: str) -> bool:
    """Return whether a space, or one of its family, is among the measured ones: they are spaces of cells."""
    return any(space == name or space in measured["family"] for name, measured in _measured().items())


@cache
def _measured() -> dict[str, Any]:
    measured: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return measured


def _holds(known: dict[str, Any]) -> bool:
    return bool(known["difference"][1] > 0 or known["tau_equal_flops"][1] > 0)


def _caution(score: str, here: str, space: str, measured: dict[str, Any], known: dict[str, Any]) -> str:
    like = "" if here == space else f", a space of the same family as {here}"
    return (
        f"{score} is not known to hold here: on {space}{like}, it tells nothing at equal FLOPs "
        f"(τ {_interval(known['tau_equal_flops'])}) and no more than {known['baseline']}, which is free "
        f"(difference of τ {_interval(known['difference'])}); {known['n']} architectures, {measured['task']}, "
        f"see {measured['table']}. Measure it on your data: `zenfront correlate --help`"
    )


def _interval(values: list[float]) -> str:
    return f"{values[0]:+.2f} [{values[1]:+.2f}, {values[2]:+.2f}]"
