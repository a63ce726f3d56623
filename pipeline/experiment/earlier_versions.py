"""Experiments that an earlier version stored: a run goes on as it began, whatever the defaults are by now."""

from collections.abc import Mapping
from typing import Any

from zenfront.pipeline.experiment.config import Experiment

BEFORE: Mapping[tuple[str, str], Any] = {
    ("train", "objectives"): ["accuracy"],
    ("select", "extremes"): False,
}
"""What a version did that did not know a key, by stage and key. A key whose default is the same is not listed."""
NTK_METHODS = {"paper": "fast", "reference": "exact"}
"""Names that `method` of ntk had when it was called `mode`."""


def completed(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored experiment with the keys that its version did not know, at the value of what it did."""
    experiment = dict(stored)
    for (stage, key), before in BEFORE.items():
        if stage in experiment and key not in experiment[stage]:
            experiment[stage] = experiment[stage] | {key: before}
    options = experiment.get("proxies", {}).get("ntk", {})
    if options.get("mode") in NTK_METHODS:
        renamed = {name: value for name, value in options.items() if name != "mode"}
        renamed["method"] = NTK_METHODS[options["mode"]]
        experiment["proxies"] = experiment["proxies"] | {"ntk": renamed}
    return experiment


def as_stored(experiment: Experiment, stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the JSON form of an experiment for its run folder.

    Keys of `BEFORE` that are absent from the stored form stay absent: they mark what the run began with.
    """
    document: dict[str, Any] = experiment.model_dump(mode="json")
    for stage, key in BEFORE if stored else ():
        if stored and key not in stored.get(stage, {}):
            del document[stage][key]
    return document


def continued(experiment: Experiment, stored: Mapping[str, Any]) -> Experiment:
    """Return an experiment with the behaviour of its stored run, where the experiment leaves a newer key alone.

    Args:
        experiment: As it is asked for today.
        stored: JSON form of the run's experiment, as its version stored it.
    """
    train, select = dict(stored.get("train", {})), dict(stored.get("select", {}))
    updates: dict[str, Any] = {}
    if "objectives" not in train and experiment.train.objectives is None:
        updates["train"] = experiment.train.model_copy(update={"objectives": ("accuracy",)})
    if "extremes" not in select:
        kept = {"extremes": False}
        if experiment.select.rule is None:
            kept |= {key: select[key] for key in ("rule", "along") if key in select}
        updates["select"] = experiment.select.model_copy(update=kept)
    return experiment.model_copy(update=updates)


def note_on(asked: Experiment, begun: Experiment) -> str | None:
    """Return a line for the user if a run goes on otherwise than its experiment would begin today, else None."""
    if begun == asked:
        return None
    rule = f", and members are selected by rule {begun.select.rule}" if begun.select.rule else ""
    return (
        "an earlier version began this run, and it goes on as it began: trained networks are compared by accuracy "
        f"alone{rule}. For today's defaults, start a run under another name (--set name=...)."
    )
