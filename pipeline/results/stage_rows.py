"""Values that the ledgers and trained.json hold: scores, generations, epochs and outcomes of training.

Each has `to_row`, its JSON form, and `from_row`, which raises a ValueError with key, rule and value for a row that has
a key too few or too many, a value of the wrong type or a number that is not finite.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

from pydantic import TypeAdapter

from zenfront.pipeline.progress import TrialState
from zenfront.pipeline.results.architectures import Genes, read_architecture
from zenfront.pipeline.results.rounds import Round
from zenfront.pipeline.results.rows import CLOSED, Count, Number, Positive, Seconds, Share, Text, read_row
from zenfront.pipeline.results.trained_networks import TrainedFront
from zenfront.spaces import Architecture

_EMPTY: Mapping[str, Any] = MappingProxyType({})
SECONDS = "seconds"
"""Key of the wall-clock time of an epoch in its metrics."""


def trial_name(architecture: str, seed: int) -> str:
    """Return the name of a training run, ``<architecture id>-<seed>``; nothing takes such a name apart."""
    return f"{architecture}-{seed}"


@dataclass(frozen=True)
class _ScoresRow:
    __pydantic_config__ = CLOSED

    id: Text
    space: Text
    genes: Genes
    values: dict[str, Number]
    failure: Text | None
    seed: Count
    seconds: dict[str, Seconds]
    errors: dict[str, Number] = field(default_factory=dict)
    undefined: dict[str, Text] = field(default_factory=dict)
    memory: Count | None = None
    graph: tuple[Number, ...] = ()


@dataclass(frozen=True)
class Scores:
    """The raw scores of one architecture; without values if and only if it failed. A row of scores.jsonl.

    Attributes:
        architecture: Canonical.
        values: Score by name, finite. An architecture that a cheap constraint excludes has only its costs.
        failure: The reason for which there are no values, or None.
        seed: The experiment's root seed.
        errors: Standard error by name, if the proxy was repeated.
        seconds: Wall-clock seconds by name; the construction of the network is ``build``.
        undefined: The reason for which a score has no value, by name, if the others were taken all the same.
        memory: Bytes that the worker's process, or its share of a GPU, held at the peak; None if it is not known.
        graph: Counts of the network's graph, `structure.graph.COLUMNS`, where a model learns from them; else empty.
    """

    architecture: Architecture
    values: Mapping[str, float]
    failure: str | None
    seed: int
    errors: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    seconds: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    undefined: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    memory: int | None = None
    graph: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if (self.failure is None) != bool(self.values):
            raise ValueError(f"scores have values or a failure, but got ({self.values=}, {self.failure=})")

    def to_row(self) -> dict[str, Any]:
        """Return the row of the ledger."""
        row: dict[str, Any] = {
            "id": self.architecture.id,
            "space": self.architecture.space,
            "genes": dict(self.architecture.genes),
            "values": dict(self.values),
            "failure": self.failure,
            "seed": self.seed,
            "seconds": {name: round(value, 6) for name, value in self.seconds.items()},
        }
        optional = {"errors": dict(self.errors), "undefined": dict(self.undefined), "graph": list(self.graph)}
        memory = {} if self.memory is None else {"memory": self.memory}
        return row | {name: value for name, value in optional.items() if value} | memory

    @classmethod
    def from_row(cls, row: object) -> Self:
        """Return the scores of a row."""
        found = read_row(_SCORES, row)
        architecture = read_architecture(found.space, found.genes, found.id)
        return cls(
            architecture=architecture,
            values=found.values,
            failure=found.failure,
            seed=found.seed,
            errors=found.errors,
            seconds=found.seconds,
            undefined=found.undefined,
            memory=found.memory,
            graph=found.graph,
        )


@dataclass(frozen=True)
class Box:
    """Unit of the hypervolume: the first front that extends in every objective reaches from 0 to 1 in each.

    Attributes:
        ideal: Lowest losses, (m,), in the order of the objectives.
        nadir: Highest losses, (m,).
    """

    __pydantic_config__ = CLOSED

    ideal: list[Number]
    nadir: list[Number]

    def __post_init__(self) -> None:
        if len(self.ideal) != len(self.nadir):
            raise ValueError(f"a box has as many ideal as nadir losses, but got {len(self.ideal)}, {len(self.nadir)}")


@dataclass(frozen=True)
class Generation:
    """The state of a search after a generation. A row of generations.jsonl; its keys are these attributes.

    Attributes:
        generation: Number of the generation, from 0.
        evaluations: Architectures scored so far.
        front: Members of the front of all feasible architectures so far.
        hypervolume: Hypervolume of that front in units of `box`; None without a box.
        box: Box around the first front that extends in every objective; None before.
        best: Best feasible value of each objective, by its score's name; empty without a front.
        failures: Architectures that failed so far.
        infeasible: Architectures that a constraint excluded so far.
        seconds: Wall-clock seconds of the search, over all its drivers.
        rate: Architectures per second of this driver.
        time: Seconds since the Unix epoch.
    """

    __pydantic_config__ = CLOSED

    generation: Count
    evaluations: Count
    front: Count
    hypervolume: Number | None
    box: Box | None
    best: dict[str, Number]
    failures: Count
    infeasible: Count
    seconds: Seconds
    rate: Number
    time: Seconds

    def to_row(self) -> dict[str, Any]:
        """Return the row of the ledger."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: object) -> "Generation":
        """Return the generation of a row."""
        return read_row(_GENERATION, row)


@dataclass(frozen=True)
class Epoch:
    """One epoch of one training run; without metrics if and only if it failed. A row of epochs.jsonl.

    Attributes:
        trial: `trial_name` of the run; empty in what `training.loop.train` yields, which knows no architecture.
        epoch: Completed epochs, from 1.
        metrics: Finite values: ``train_loss`` (of the augmented, smoothed task), ``val_loss`` (plain cross-entropy,
            nats), ``val_accuracy`` (a fraction), ``learning_rate`` (of the last step), ``seconds``; or the row of a
            training function and ``seconds``.
        failure: The reason for which the run ended itself in this epoch, or None.
        time: Seconds since the Unix epoch when it was recorded.
    """

    __pydantic_config__ = CLOSED

    trial: Text
    epoch: Positive
    metrics: Mapping[str, Number]
    failure: Text | None = None
    time: Seconds = 0.0

    def __post_init__(self) -> None:
        if (self.failure is None) != bool(self.metrics):
            raise ValueError(f"an epoch has metrics or a failure, but got ({self.metrics=}, {self.failure=})")

    def to_row(self) -> dict[str, Any]:
        """Return the row of the ledger."""
        return {
            "trial": self.trial,
            "epoch": self.epoch,
            "metrics": dict(self.metrics),
            "failure": self.failure,
            "time": self.time,
        }

    @classmethod
    def from_row(cls, row: object) -> "Epoch":
        """Return the epoch of a row."""
        return read_row(_EPOCH, row)


@dataclass(frozen=True)
class TrainedRun:
    """The outcome of one training run; its keys in trained.json are these attributes, without the last three if empty.

    Attributes:
        trial: `trial_name` of the run.
        architecture: Id of the architecture.
        seed: Seed of the run.
        epochs: Recorded epochs.
        status: State in which the run ended: ``finished``, ``stopped``, ``diverged`` or ``failed``.
        val_accuracy: Validation accuracy of the last completed epoch, a fraction; None if there is none.
        test_accuracy: Fraction of the test images; None if the run was not tested.
        test_loss: Mean cross-entropy on the test images in nats; None if the run was not tested.
        failure: The reason for which the run or its test failed, or None.
        val_balanced_accuracy: Mean over the classes of the validation accuracy; None unless `train.metric` asks for it.
        test_balanced_accuracy: The same on the test images.
        values: The last row of a training function, whose runs have none of the accuracies above; else empty.
    """

    __pydantic_config__ = CLOSED

    trial: Text
    architecture: Text
    seed: Count
    epochs: Count
    status: TrialState
    val_accuracy: Share | None
    test_accuracy: Share | None
    test_loss: Number | None
    failure: Text | None
    val_balanced_accuracy: Share | None = None
    test_balanced_accuracy: Share | None = None
    values: Mapping[str, Number] = field(default_factory=lambda: _EMPTY)

    def validation(self, metric: str) -> float | None:
        """Return the value of a metric of `train.metric` after the last completed epoch."""
        if self.values:
            return self.values.get(metric)
        return self.val_balanced_accuracy if metric == "balanced_accuracy" else self.val_accuracy

    def test(self, metric: str) -> float | None:
        """Return the value of a metric of `train.metric` on the test data, if the run was trained to the end.

        That of a training function is the last ``test_<metric>`` of its rows, or else the last ``<metric>``.
        """
        if self.values:
            return self.values.get(f"test_{metric}", self.values.get(metric)) if self.status == "finished" else None
        return self.test_balanced_accuracy if metric == "balanced_accuracy" else self.test_accuracy

    def to_row(self) -> dict[str, Any]:
        """Return the JSON form."""
        row = asdict(replace(self, values={})) | {"values": dict(self.values)}
        optional = ("val_balanced_accuracy", "test_balanced_accuracy", "values")
        return {key: value for key, value in row.items() if key not in optional or value not in (None, {})}


@dataclass(frozen=True)
class Trained:
    """The content of trained.json.

    Attributes:
        trials: Outcomes in the order of the selection, then of the experiment's seeds.
        front: The trained front; None in files of earlier versions, or if nothing was trained to the end.
        rounds: Rounds with what came out of them, in runs with several.
    """

    __pydantic_config__ = CLOSED

    trials: list[TrainedRun]
    front: TrainedFront | None = None
    rounds: tuple[Round, ...] = ()

    def to_row(self) -> dict[str, Any]:
        """Return the content of the file."""
        trials = {"trials": [run.to_row() for run in self.trials]}
        front = {"front": self.front.to_row()} if self.front else {}
        return trials | front | ({"rounds": [each.to_row() for each in self.rounds]} if self.rounds else {})

    @classmethod
    def from_row(cls, row: object) -> "Trained":
        """Return the outcomes of a file's content."""
        return read_row(_TRAINED, row)


_SCORES, _GENERATION = TypeAdapter(_ScoresRow), TypeAdapter(Generation)
_EPOCH, _TRAINED = TypeAdapter(Epoch), TypeAdapter(Trained)
