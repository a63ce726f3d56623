"""Data of the figures of a front: axes, and groups of architectures in the space of the objectives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from zenfront.pipeline import proxies
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.objectives import Objective, violations
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Member
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.user_code import UserCode

DECADES = 1.5


class Look(NamedTuple):
    """Appearance of a group, which differs by colour and by shape."""

    colour: str
    symbol: str
    """Plotly's name of the shape."""
    marker: str
    """Matplotlib's name of the shape."""
    size: float
    """Diameter in points."""


# Palette of Okabe and Ito, whose colours differ for every kind of colour vision.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#000000", "#B3B8BF"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
SCORED = Look(GREY, "circle", "o", 4)
FRONT = Look(BLUE, "circle", "o", 6)
SELECTED = Look(ORANGE, "diamond", "D", 8)
TRAINED = Look(VERMILLION, "star", "*", 13)
SYMBOLS = (("circle", "o"), ("diamond", "D"), ("square", "s"), ("triangle-up", "^"), ("cross", "P"), ("x", "X"))


@dataclass(frozen=True)
class Axis:
    """Axis of one objective.

    Attributes:
        name: Name of the score.
        unit: Unit of its values; empty if it has none.
        direction: ``maximise`` or ``minimise``.
        log: True if the values span decades.
    """

    name: str
    unit: str
    direction: str
    log: bool

    @property
    def label(self) -> str:
        """Name, unit and the better direction."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.name}{unit}, {'higher' if self.direction == 'maximise' else 'lower'} is better"


@dataclass(frozen=True)
class Group:
    """Architectures that are drawn alike.

    Attributes:
        name: Name in the legend.
        look: Colour, shape and size.
        values: Values (n, m), a column for each objective.
        texts: Text of each architecture, for tooltips.
    """

    name: str
    look: Look
    values: np.ndarray
    texts: list[str]


def axes(objectives: Sequence[Objective], values: np.ndarray, code: Sequence[UserCode] = ()) -> list[Axis]:
    """Return the axes for values (n, m) with a column for each objective."""
    return [
        Axis(objective.score, unit(objective.score, code), objective.direction, _spans_decades(column))
        for objective, column in zip(objectives, values.T, strict=True)
    ]


def panels(count: int) -> list[tuple[int, int]]:
    """Return the pairs of columns that are drawn: all pairs of up to four objectives, neighbours of more."""
    return list(combinations(range(count), 2)) if count <= 4 else [(i, i + 1) for i in range(count - 1)]


def unit(score: str, code: Sequence[UserCode] = ()) -> str:
    """Return the unit of a score; empty if it has none or if its proxy is not installed any more."""
    try:
        found = proxies.load(score, code).unit
    except UserError:
        return ""
    return "" if found == "1" else found


def groups(record: RunRecord) -> list[Group]:
    """Return all feasible architectures of a run, those behind the front first; each is in one group."""
    front = {member.id for member in record.members}
    selected = set(record.front.selected if record.front else ())
    trained = {run.architecture for run in record.trained if run.test(record.experiment.train.tabled.name) is not None}
    shown = {member.id for member in record.shown}
    behind = [scores for scores in _feasible(record) if scores.architecture.id not in shown]
    points = [(scores.architecture.id, scores.values) for scores in behind]

    def members(name: str, look: Look, ids: set[str]) -> Group:
        return _member_group(record, name, look, [member for member in record.shown if member.id in ids])

    return [
        _group(record, "dominated", SCORED, points),
        members("front, not selected", FRONT, front - selected - trained),
        members("selected, stopped early" if trained else "selected", SELECTED, selected - trained),
        members("trained to the end", TRAINED, trained),
    ]


def front_group(record: RunRecord, name: str, position: int) -> Group:
    """Return the front of one of several runs that are compared."""
    symbol, marker = SYMBOLS[position % len(SYMBOLS)]
    return _member_group(record, name, Look(PALETTE[position % len(PALETTE)], symbol, marker, 7), record.members)


def _feasible(record: RunRecord) -> list[Scores]:
    scored = record.scores()
    violation = violations(scored, record.experiment.constraints)
    return [scores for scores, excess in zip(scored, violation, strict=True) if excess <= 0]


def _member_group(record: RunRecord, name: str, look: Look, members: Sequence[Member]) -> Group:
    return _group(record, name, look, [(_text(member), member.values) for member in members])


def _group(record: RunRecord, name: str, look: Look, points: Sequence[tuple[str, Mapping[str, float]]]) -> Group:
    """Return a group of points, each given by its text and its scores."""
    names = [objective.score for objective in record.experiment.objectives]
    rows = [[scores[score] for score in names] for _, scores in points]
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return Group(name, look, values, [text for text, _ in points])


def _text(member: Member) -> str:
    values = ", ".join(f"{name} {value:.4g}" for name, value in member.values.items())
    return f"{member.id}\n{member.notation}\n{values}"


def _spans_decades(column: np.ndarray) -> bool:
    return bool(len(column)) and column.min() > 0 and np.log10(column.max() / column.min()) >= DECADES
