"""Which network of a run is meant: by id, the beginning of an id, notation, name, place or pick."""

import re
from collections.abc import Sequence
from typing import get_args

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.files.lock import holder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.record.score_record import latest, row_reader
from zenfront.pipeline.results.front import Member
from zenfront.pipeline.results.trained_networks import PickName
from zenfront.pipeline.wording import suggestion
from zenfront.spaces import Architecture, Space

PICKS: tuple[PickName, ...] = get_args(PickName)
LISTED = 8
"""Networks that a message lists."""


def chosen(record: RunRecord, asked: str | None) -> Member:
    """Return the network of a run that a text names.

    Args:
        record: The run, whose own code is allowed.
        asked: Name of a pick; id of an architecture, or its beginning; architecture in the notation of the space; name
            of a baseline; place among the selected networks, from 1. None: the knee, or without one the most accurate.

    Returns:
        The network. One that was scored and not selected has its scores, one of the space that was not even scored has
        none.

    Raises:
        UserError: No network has this name, or several have.
    """
    text = "knee" if asked is None else asked.strip()
    if (name := text.replace("-", "_")) in PICKS:
        return _picked(record, name, by_default=asked is None)
    known = [*record.shown, *(each.member for each in record.baselines.networks)]
    named = {each.name: each.member for each in record.baselines.networks}
    exact = next((member for member in known if text in (member.id, member.notation)), named.get(text))
    return exact or _by_notation(record, text, known) or _by_place(record, text) or _by_prefix(record, text, known)


def nearest(architecture: Architecture, members: Sequence[Member]) -> Member | None:
    """Return the member of the same space that differs in the fewest genes; None if there is none."""
    alike = [member for member in members if member.architecture.space == architecture.space]
    return min(alike, key=lambda member: _distance(member.architecture, architecture), default=None)


def why_untrained(record: RunRecord) -> str | None:
    """Return why a run has no results of training yet, with what to do; None if it has."""
    if record.trained:
        return None
    if driver := holder(record.folder.path):
        return f"the run is still at work ({driver}): wait until it ends"
    return f"nothing is trained yet: run {command('train', record.folder.path, record.experiment)} first"


def _distance(one: Architecture, other: Architecture) -> int:
    return sum(one.mapping.get(name) != value for name, value in other.genes)


def _picked(record: RunRecord, name: str, by_default: bool) -> Member:
    front = record.trained_front
    networks = {pick.name: pick.architecture for pick in front.picks} if front else {}
    wanted = [name, "most_accurate"] if by_default else [name]
    if found := next((networks[each] for each in wanted if each in networks), None):
        return next(member for member in record.shown if member.id == found)
    if networks:
        raise UserError(
            f"{record.folder.path}: the trained front has no {name!r}, which needs a cost among the objectives. It "
            f"has: {', '.join(networks)}."
        )
    raise UserError(
        f"{record.folder.path}: there is no {name!r}, since "
        f"{why_untrained(record) or 'no network was trained to the end'}. Name an architecture "
        f"({_listed(record.shown)}) to export it with fresh weights (--untrained) or as it was when it was stopped "
        "(--at-rung N)."
    )


def _by_notation(record: RunRecord, text: str, known: Sequence[Member]) -> Member | None:
    """Return the network of the run's space with this notation, in any spelling that the space reads."""
    space = spaces.load(record.experiment.space, record.experiment.code)
    try:
        architecture = space.architecture(space.parse(text))
    except UserError:
        if re.fullmatch(r"[\w .-]*", text):  # an id or a name
            return None
        raise
    same = (member for member in known if member.architecture == architecture)
    return next(same, None) or _scored(record, architecture.id) or _unscored(architecture, space)


def _unscored(architecture: Architecture, space: Space) -> Member:
    return Member(architecture, space.notation(architecture), {}, {})


def _by_place(record: RunRecord, text: str) -> Member | None:
    selected = record.front.chosen if record.front else []
    if re.fullmatch(r"[1-9]\d{0,3}", text) and int(text) <= len(selected):
        return selected[int(text) - 1]
    return None


def _by_prefix(record: RunRecord, text: str, known: Sequence[Member]) -> Member:
    found = {member.id: member for member in known if member.id.startswith(text)}
    if len(found) > 1:
        raise UserError(f"{text!r} is the beginning of several ids: {', '.join(found)}. Write one of them.")
    if found:
        return next(iter(found.values()))
    if re.fullmatch(r"[0-9a-f]{4,16}", text) and (member := _scored(record, text)):
        return member
    names = [*(member.id for member in known), *(each.name for each in record.baselines.networks), *PICKS]
    selected = _listed(record.front.chosen if record.front else known)
    raise UserError(
        f"{record.folder.path} has no network {text!r}.{suggestion(text, names)} Selected are: {selected}. Or write an "
        "architecture in the notation of the space."
    )


def _scored(record: RunRecord, prefix: str) -> Member | None:
    """Return the architecture with an id that begins so, of all that the search scored."""
    rows = latest(read_values(record.folder.scores, row_reader(record.experiment, partial=True)))
    found = [scores for scores in rows if scores.architecture.id.startswith(prefix)]
    if len(found) > 1:
        ids = ", ".join(scores.architecture.id for scores in found[:LISTED])
        raise UserError(f"{prefix!r} is the beginning of several ids: {ids}. Write one of them.")
    space = spaces.load(record.experiment.space, record.experiment.code)
    return next((Member(s.architecture, space.notation(s.architecture), s.values, s.errors) for s in found), None)


def _listed(members: Sequence[Member]) -> str:
    more = f" and {len(members) - LISTED} more" if len(members) > LISTED else ""
    return (", ".join(member.id for member in members[:LISTED]) or "none") + more
