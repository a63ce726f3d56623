"""Experiments that an earlier version stored: a run goes on as it began, whatever the defaults are by now."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from zenfront.pipeline.experiment._types import LONGEST
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.own_places import without_places

BEFORE: Mapping[tuple[str, ...], Any] = {
    ("search", "operators"): "uniform",
    ("search", "tf32"): True,
    ("train", "objectives"): ["accuracy"],
    ("train", "data", "rules"): 1,
    ("select", "extremes"): False,
}
"""Behaviour of the versions that did not know a key, by the key's place. Keys with the same default are not listed."""
NTK_METHODS = {"paper": "fast", "reference": "exact"}
"""Names that `method` of ntk had when it was called `mode`."""


def completed(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored experiment with the keys that its version did not know, at the value of what it did."""
    experiment: dict[str, Any] = copy.deepcopy(without_places(stored))
    for (*sections, key), before in BEFORE.items():
        section = _section(experiment, sections)
        if section is not None:
            section.setdefault(key, before)
    for stage, key in (("search", "time_limit"), ("train", "time_limit"), ("cluster", "patience")):
        section = _section(experiment, [stage]) or {}
        if isinstance(section.get(key), int | float):
            section[key] = min(section[key], LONGEST)  # no timer keeps a longer one
    options = _section(experiment, ["proxies", "ntk"]) or {}
    if options.get("mode") in NTK_METHODS:
        renamed = {name: value for name, value in options.items() if name != "mode"}
        renamed["method"] = NTK_METHODS[options["mode"]]
        experiment["proxies"] = experiment["proxies"] | {"ntk": renamed}
    return experiment


def as_stored(experiment: Experiment, stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the JSON form of an experiment for its run folder, without places.

    Keys of `BEFORE` that are absent from the stored form stay absent: they mark what the run began with.
    """
    document = without_places(experiment.model_dump(mode="json"))
    for *sections, key in BEFORE if stored else ():
        if stored and key not in (_section(stored, sections) or {}):
            del (_section(document, sections) or {})[key]
    return document


def continued(experiment: Experiment, stored: Mapping[str, Any]) -> Experiment:
    """Return an experiment with the behaviour of its stored run, where the experiment leaves a newer key alone.

    Args:
        experiment: As it is asked for today.
        stored: JSON form of the run's experiment, as its version stored it.
    """
    search, train, select = (_section(stored, [stage]) or {} for stage in ("search", "train", "select"))
    updates: dict[str, Any] = {}
    today: dict[str, Any] = {}
    before: dict[str, Any] = {} if "tf32" in search else {"tf32": True}
    if "operators" not in search:
        before["operators"] = "uniform"
        if experiment.search.repeats == "auto":
            before["repeats"] = search.get("repeats", 1)
    if before:
        updates["search"] = experiment.search.model_copy(update=before)
    if "objectives" not in train and experiment.train.objectives is None:
        today["objectives"] = ("accuracy",)
    if "rules" not in (data := _section(train, ["data"]) or {}):
        kept = {"rules": 1}
        if experiment.train.data.validation is None and "validation" in data:
            kept |= {"validation": data["validation"]}
        today["data"] = experiment.train.data.model_copy(update=kept)
    if today:
        updates["train"] = experiment.train.model_copy(update=today)
    if "extremes" not in select:
        chosen: dict[str, Any] = {"extremes": False}
        if experiment.select.rule is None:
            chosen |= {key: select[key] for key in ("rule", "along") if key in select}
        updates["select"] = experiment.select.model_copy(update=chosen)
    return experiment.model_copy(update=updates)


def note_on(asked: Experiment, begun: Experiment) -> str | None:
    """Return a line for the user if a run goes on otherwise than its experiment would begin today, else None."""
    kept = []
    if any(getattr(begun.search, key) != getattr(asked.search, key) for key in ("operators", "repeats")):
        kept.append(f"the search has `operators: {begun.search.operators}` and `repeats: {begun.search.repeats}`")
    if begun.search.tf32 != asked.search.tf32 and asked.resources.search.gpus:
        kept.append("GPUs compute scores in TF32 (search.tf32: true)")
    if begun.train.objectives != asked.train.objectives:
        kept.append("trained networks are compared by accuracy alone")
    if begun.select.rule != asked.select.rule:
        kept.append(f"members are selected by rule {begun.select.rule}")
    if begun.train.data != asked.train.data:
        kept.append("images are read by its rules (train.data.rules: 1)")
    if not kept:
        return None
    return (
        f"an earlier version began this run, and it goes on as it began: {', and '.join(kept)}. "
        "For today's defaults, start a run under another name (--set name=...)."
    )


def _section(document: Mapping[str, Any], sections: Sequence[str]) -> Any:
    """Return a section of an experiment's JSON form; None if it is not there."""
    section: Any = document
    for name in sections:
        section = section.get(name) if isinstance(section, Mapping) else None
    return section if isinstance(section, Mapping) else None
