"""Changes of an experiment that its run folder takes: what has not been computed can be changed."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from zenfront.pipeline import proxies
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.results.rows import CLOSED, Positive, Text, read_row

WORKER_FAILED = "worker failed: "
"""Prefix of the failure of a training run that did not end itself: its worker died or raised."""
SCORED = "architectures are scored with it"
SELECTED = "the networks in training were selected with it"
TRAINED = "networks are trained with it"
SHARED = "supernets are trained with it"
OF_SUPERNET = ("train.data.", "train.recipe.", "train.epochs")
"""Beginnings of the keys of `train` that a supernet depends on."""
GROWING = {
    "search.evaluations": "it can only be raised, since more are scored",
    "select.k": "it can only be raised, since more are in training",
    "supernet.instances": "it can only be raised, since more are in training",
    "train.baselines": "known networks can only be added, since these are trained",
    "train.seeds": "seeds can only be added at the end, since networks are trained with these",
}
"""Keys that can grow at any time, each with the reason for which it cannot change otherwise."""
COSINE = (
    "the learning rate of the networks in training falls along a cosine to 0 at the last epoch, so they cannot be "
    "trained further"
)


@dataclass(frozen=True)
class Computed:
    """Computed contents of a run folder.

    Attributes:
        scores: Whether an architecture is scored.
        epochs: Whether an epoch of training is recorded, other than failures of all runs.
        failed: Whether training was begun and its workers failed in all runs.
        supernet: Whether a step of a supernet is recorded.
    """

    scores: bool
    epochs: bool
    failed: bool = False
    supernet: bool = False


@dataclass(frozen=True)
class Grown:
    """Earlier, smaller requests of a run that was asked for more.

    Attributes:
        evaluations: Numbers of architectures at which the search ended, in the order of time.
        selected: Ids of the networks that were trained together, in the order of time.
    """

    __pydantic_config__ = CLOSED

    evaluations: tuple[Positive, ...] = ()
    selected: tuple[tuple[Text, ...], ...] = ()

    def with_evaluations(self, count: int) -> "Grown":
        """Return it with one more end of the search."""
        return replace(self, evaluations=(*self.evaluations, count))

    def with_selected(self, ids: Sequence[str]) -> "Grown":
        """Return it with the networks among these that are in no earlier group as one more group."""
        known = {name for group in self.selected for name in group}
        new = tuple(name for name in ids if name not in known)
        return replace(self, selected=(*self.selected, new)) if new else self

    def to_row(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: object) -> "Grown":
        """Return the value of a JSON form.

        Raises:
            ValueError: A key is unknown, or a value is not what the key takes.
        """
        return read_row(_GROWN, row)


_GROWN = TypeAdapter(Grown)


@dataclass(frozen=True)
class Change:
    """A key with another value.

    Attributes:
        key: The key with dots.
        before: JSON value that the run was computed with.
        after: JSON value that is asked for.
    """

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.key}: {json.dumps(self.before)} -> {json.dumps(self.after)}"

    @property
    def stage(self) -> str:
        """First stage whose results depend on the key: ``search``, ``select``, ``train`` or ``supernet``."""
        if self.key.startswith("code.training."):
            return "train"
        section = self.key.split(".")[0]
        return section if section in ("select", "train", "supernet") else "search"

    @property
    def grows(self) -> bool:
        """Whether what was computed is a part of what is asked for."""
        if self.key == "train.baselines":
            return all(self.after.count(each) >= self.before.count(each) for each in self.before)
        if self.key == "train.seeds":
            return bool(self.after[: len(self.before)] == self.before)
        if self.key.startswith("supernet.settings.") and self.before is None:
            return True
        return self.key in GROWING and bool(self.before < self.after)

    @property
    def adds_objectives(self) -> bool:
        """Whether there are more objectives, and the others are as before."""
        return self.key == "objectives" and all(each in self.after for each in self.before)


def changes(before: Any, after: Any, key: str = "") -> Iterator[Change]:
    """Yield the leaves in which two JSON values differ."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from changes(before.get(name), after.get(name), f"{key}.{name}" if key else str(name))
    elif before != after:
        yield Change(key, before, after)


def check_changes(
    run: Path,
    before: Experiment,
    after: Experiment,
    computed: Computed,
    *,
    score_by_score: bool = False,
    place: str = "",
) -> list[Change]:
    """Return the changes from the experiment that a run was computed with to the one that is asked for.

    Args:
        run: Folder of the run.
        before: The experiment that the run was computed with.
        after: The experiment that is asked for.
        computed: Computed contents of the run folder.
        score_by_score: Whether objectives can be added, since each of their scores stands for itself.
        place: Storage that has the run, for the message; the folder if not given.

    Raises:
        UserError: Something that is computed depends on a change.
    """
    found = list(changes(before.identity(), after.identity()))
    scored = {*before.score_names(), *(() if score_by_score else after.score_names())}
    refused = [
        f"{each} ({reason})"
        for each in found
        if not (score_by_score and each.adds_objectives) and (reason := _refusal(each, before, scored, computed))
    ]
    if refused:
        raise UserError(
            f"{place or run} holds a run of another experiment under the same name:\n  "
            + "\n  ".join(refused)
            + "\nChoose another name (--set name=...), or delete the folder. "
            f"{command('train', run, before)} goes on with the run as it is stored."
        )
    return found


def _refusal(change: Change, before: Experiment, scored: Collection[str], computed: Computed) -> str | None:
    """Return why a change cannot be made, or None if it can; `scored` has the proxies whose options matter."""
    if change.key.startswith("proxies.") and change.key.split(".")[1] not in scored:
        return None
    needs_images = change.key.startswith("train.data.") and computed.scores and _reads_images(before)
    trained = computed.epochs or (computed.supernet and change.key.startswith(OF_SUPERNET))
    begun = {
        "search": computed.scores,
        "select": computed.epochs,
        "train": trained,
        "supernet": computed.supernet,
    }[change.stage]
    if before.select.rounds > 1 and computed.epochs and change.key in ("select.k", "search.evaluations"):
        return "the rounds have chosen from what was scored"
    if change.grows or not (begun or needs_images):
        return None
    if change.key == "train.epochs":
        return COSINE
    reasons = {
        "search": SCORED,
        "select": SELECTED,
        "train": TRAINED if computed.epochs else SHARED,
        "supernet": SHARED,
    }
    return GROWING.get(change.key, SCORED if needs_images else reasons[change.stage])


def _reads_images(experiment: Experiment) -> bool:
    loaded = (proxies.load(name, experiment.own_code()) for name in experiment.score_names())
    return any(proxy.needs & {"images", "labels"} for proxy in loaded)
