"""Known networks that are trained beside the found ones: the content of baselines.json, and how they compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from pydantic import TypeAdapter

from zenfront.pipeline.results.architectures import Genes, read_architecture
from zenfront.pipeline.results.front import Member
from zenfront.pipeline.results.rows import CLOSED, SCHEMA, Number, Text, read_row
from zenfront.pipeline.results.stage_rows import TrainedRun
from zenfront.pipeline.results.trained_networks import TrainedNetwork


@dataclass(frozen=True)
class Baseline:
    """A known network.

    Attributes:
        name: The published name, space and id of one that the experiment gives in a notation, or ``random 1``,
            ``random 2``, ... for those that were drawn.
        member: Architecture, notation, and the costs by which trained networks are compared, computed for the task.
        drawn: Whether it was drawn at random.
    """

    name: str
    member: Member
    drawn: bool = False


@dataclass(frozen=True)
class Baselines:
    """All known networks of a run.

    Attributes:
        asked: Entries of the experiment that they belong to, in the order in which they were asked.
        networks: The networks, in the order of the entries.
        trials: Outcomes of their training runs, by network and then by seed; none before the end of the training.
    """

    asked: tuple[str, ...] = ()
    networks: tuple[Baseline, ...] = ()
    trials: tuple[TrainedRun, ...] = ()

    def with_outcomes(self, trials: Sequence[TrainedRun]) -> Self:
        """Return the same networks with the outcomes of their training."""
        return replace(self, trials=tuple(trials))

    def to_row(self) -> dict[str, Any]:
        """Return the content of baselines.json."""
        networks = [
            {"name": each.name, "drawn": each.drawn, "space": each.member.architecture.space} | each.member.to_row()
            for each in self.networks
        ]
        return {
            "schema": SCHEMA,
            "asked": list(self.asked),
            "networks": networks,
            "trials": [run.to_row() for run in self.trials],
        }

    @classmethod
    def from_row(cls, row: object) -> Self:
        """Return the baselines of a file's content.

        Raises:
            ValueError: A key is missing or unknown, or a value is not what the key takes; the message names it.
        """
        found = read_row(_BASELINES, row)
        return cls(found.asked, tuple(map(_baseline, found.networks)), found.trials)


@dataclass(frozen=True)
class TrainedBaseline:
    """A known network that was trained like the found ones.

    Attributes:
        name: As in `Baseline`.
        drawn: Whether it was drawn at random.
        network: Costs, accuracy and outcome; it is never on the front of the run.
    """

    name: str
    drawn: bool
    network: TrainedNetwork


@dataclass(frozen=True)
class _NetworkRow:
    __pydantic_config__ = CLOSED

    name: Text
    drawn: bool
    space: Text
    id: Text
    genes: Genes
    notation: Text
    values: Mapping[str, Number]
    errors: Mapping[str, Number]


@dataclass(frozen=True)
class _BaselinesRow:
    __pydantic_config__ = CLOSED

    schema: Literal[1]
    asked: tuple[Text, ...]
    networks: tuple[_NetworkRow, ...]
    trials: tuple[TrainedRun, ...] = field(default_factory=tuple)


_BASELINES = TypeAdapter(_BaselinesRow)


def _baseline(row: _NetworkRow) -> Baseline:
    architecture = read_architecture(row.space, row.genes, row.id)
    return Baseline(row.name, Member(architecture, row.notation, row.values, row.errors), row.drawn)
