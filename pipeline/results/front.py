"""The front of a search and the members that are selected from it: the content of front.json."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import TypeAdapter

from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.results.architectures import Genes, read_architecture
from zenfront.pipeline.results.rounds import Round
from zenfront.pipeline.results.rows import CLOSED, SCHEMA, Count, Number, Text, read_row
from zenfront.pipeline.results.stage_rows import Box
from zenfront.spaces import Architecture


@dataclass(frozen=True)
class Member:
    """An architecture of the front.

    Attributes:
        architecture: Its genes.
        notation: The space's own notation for it.
        values: Score by name.
        errors: Standard error by name, if the proxy was repeated.
    """

    architecture: Architecture
    notation: str
    values: Mapping[str, float]
    errors: Mapping[str, float]

    @property
    def id(self) -> str:
        """Id of the architecture."""
        return self.architecture.id

    def to_row(self) -> dict[str, Any]:
        """Return the JSON form; the space is that of the whole front."""
        return {
            "id": self.id,
            "genes": dict(self.architecture.genes),
            "notation": self.notation,
            "values": dict(self.values),
            "errors": dict(self.errors),
        }


@dataclass(frozen=True)
class Front:
    """The front of all feasible architectures, and what it was found by.

    Attributes:
        space: Name of the search space.
        objectives: The experiment's.
        constraints: The experiment's.
        space_size: Points of the space.
        evaluations: Architectures scored.
        infeasible: Architectures that a constraint excludes.
        failures: Architectures that failed, by reason.
        hypervolume: `pareto.normalised_hypervolume` of the front in units of `box`.
        box: Losses that the hypervolume is normalised by.
        members: The front, by losses and then by id.
        selected: Ids of the networks that are to be trained, the first choice first.
        rule: Rule of the selection.
        others: Selected networks beside the front: a round chose them, or they were trained before more were scored.
        rounds: Rounds that have chosen so far, in runs with several; their networks are the selected ones.
    """

    space: str
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    space_size: int
    evaluations: int
    infeasible: int
    failures: Mapping[str, int]
    hypervolume: float
    box: Box
    members: tuple[Member, ...]
    selected: tuple[str, ...]
    rule: str
    others: tuple[Member, ...] = ()
    rounds: tuple[Round, ...] = ()

    def __post_init__(self) -> None:
        if strangers := [name for name in self.selected if name not in self.by_id]:
            raise ValueError(f"selected: {strangers[0]!r} is no member of the front")
        if self.rounds and self.selected != tuple(name for each in self.rounds for name in each.ids):
            raise ValueError("selected: must be the networks of the rounds, in their order")

    @cached_property
    def by_id(self) -> Mapping[str, Member]:
        """The members and the others by id."""
        return {member.id: member for member in self.networks}

    @property
    def networks(self) -> tuple[Member, ...]:
        """The members and the others."""
        return (*self.members, *self.others)

    @property
    def chosen(self) -> list[Member]:
        """The selected, the first choice first."""
        return [self.by_id[name] for name in self.selected]

    def with_round(self, added: Round, networks: Iterable[Member]) -> Self:
        """Return the front with one more round, given its networks."""
        rounds = (*self.rounds, added)
        others = (*self.others, *(network for network in networks if network.id not in self.by_id))
        selected = tuple(name for each in rounds for name in each.ids)
        return replace(self, selected=selected, others=others, rounds=rounds)

    def to_row(self) -> dict[str, Any]:
        """Return the content of front.json."""
        return {
            "schema": SCHEMA,
            "space": self.space,
            "objectives": [asdict(objective) for objective in self.objectives],
            "constraints": [asdict(constraint) for constraint in self.constraints],
            "space_size": self.space_size,
            "evaluations": self.evaluations,
            "infeasible": self.infeasible,
            "failures": dict(self.failures),
            "hypervolume": self.hypervolume,
            "box": asdict(self.box),
            "front": [member.to_row() for member in self.members],
            "selected": list(self.selected),
            "rule": self.rule,
            **({"others": [member.to_row() for member in self.others]} if self.others else {}),
            **({"rounds": [each.choice.to_row() for each in self.rounds]} if self.rounds else {}),
        }

    @classmethod
    def from_row(cls, row: object) -> Self:
        """Return the front of a file's content.

        Raises:
            ValueError: A key is missing or unknown, or a value is not what the key takes; the message names it.
        """
        found = read_row(_FRONT, row)

        def read(rows: Sequence[_MemberRow]) -> tuple[Member, ...]:
            return tuple(
                Member(read_architecture(found.space, m.genes, m.id), m.notation, m.values, m.errors) for m in rows
            )

        return cls(
            space=found.space,
            objectives=found.objectives,
            constraints=found.constraints,
            space_size=found.space_size,
            evaluations=found.evaluations,
            infeasible=found.infeasible,
            failures=found.failures,
            hypervolume=found.hypervolume,
            box=found.box,
            members=read(found.front),
            selected=found.selected,
            rule=found.rule,
            others=read(found.others),
            rounds=found.rounds,
        )


@dataclass(frozen=True)
class _MemberRow:
    __pydantic_config__ = CLOSED

    id: Text
    genes: Genes
    notation: Text
    values: dict[str, Number]
    errors: dict[str, Number]


@dataclass(frozen=True)
class _FrontRow:
    __pydantic_config__ = CLOSED

    schema: Literal[1]
    space: Text
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    space_size: Count
    evaluations: Count
    infeasible: Count
    failures: dict[str, Count]
    hypervolume: Number
    box: Box
    front: tuple[_MemberRow, ...]
    selected: tuple[Text, ...]
    rule: Text
    others: tuple[_MemberRow, ...] = ()
    rounds: tuple[Round, ...] = ()


_FRONT = TypeAdapter(_FrontRow)
