"""The trained front as trained.json holds it: accuracy against cost of the networks that were selected for training."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from zenfront.pipeline.progress import TrialState
from zenfront.pipeline.results.metric import Direction, Metric
from zenfront.pipeline.results.rows import CLOSED, Count, Number, Share, Text, read_row

PickName = Literal["most_accurate", "knee", "cheapest_within_noise"]


@dataclass(frozen=True)
class CostAxis:
    """One axis of cost in the box of the hypervolume.

    Attributes:
        lowest: Cost of the cheapest of the selected networks: the ideal corner.
        reference: Cost at the reference point, beyond the costliest of the selected networks.
        logarithmic: Whether the axis is logarithmic: it is, unless a cost is zero or negative.
    """

    __pydantic_config__ = CLOSED

    lowest: Number
    reference: Number
    logarithmic: bool

    def __post_init__(self) -> None:
        if self.logarithmic and min(self.lowest, self.reference) <= 0:
            raise ValueError(
                f"a logarithmic axis has positive costs, but got (lowest={self.lowest}, reference={self.reference})"
            )


@dataclass(frozen=True)
class Reference:
    """The box in which the hypervolume is measured: from the reference point to the ideal corner.

    Attributes:
        chance: Value of the metric at the reference point: the accuracy of guessing, a fraction; of another metric a
            tenth of the range beyond the worst of the networks that were trained to the end.
        axes: Axis by cost, in the order of the objectives.
        ideal: Value of the metric at the ideal corner: 1, or of another metric than an accuracy the best of them.
    """

    __pydantic_config__ = CLOSED

    chance: Number
    axes: Mapping[str, CostAxis]
    ideal: Number = 1.0


@dataclass(frozen=True)
class TrainedNetwork:
    """One architecture that was selected for training.

    Attributes:
        architecture: Id.
        notation: The space's own notation for it.
        costs: Cost by name, in the order of the objectives, from the record of the search.
        accuracy: If finished, the mean test accuracy over the seeds, a fraction. Else the validation accuracy after
            the last completed epoch of the first seed, or None if there is none. The metric is that of the objectives,
            which may be another number than an accuracy.
        error: If finished, the standard deviation of `accuracy` over the seeds, or with one seed the binomial error
            of the test set. Else the binomial error of the validation set. None if it is unknown, as it is with one
            seed of what is not an accuracy.
        seeds: Number of seeds behind `accuracy`.
        status: ``finished`` if a run was trained to the end and tested; else the outcome of the first seed's run:
            ``stopped``, ``diverged`` or ``failed``.
        epochs: Recorded epochs of the longest run.
        on_front: Whether it is finished and no finished network dominates it.
        dominated_by: Ids of the finished networks that dominate it by mean accuracy and costs; none unless finished.
        indistinguishable: Ids of the finished networks whose accuracy the noise cannot tell from that of this one;
            none unless finished.
    """

    __pydantic_config__ = CLOSED

    architecture: Text
    notation: Text
    costs: Mapping[str, Number]
    accuracy: Number | None
    error: Number | None
    seeds: Count
    status: TrialState
    epochs: Count
    on_front: bool = False
    dominated_by: tuple[Text, ...] = ()
    indistinguishable: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Pick:
    """A network of the trained front that has a name.

    Attributes:
        name: ``most_accurate``, ``knee`` or ``cheapest_within_noise``.
        architecture: Id.
        reason: Why it is the one, in words.
    """

    __pydantic_config__ = CLOSED

    name: PickName
    architecture: Text
    reason: Text


@dataclass(frozen=True)
class TrainedFront:
    """All networks that were selected for training, and which of them are on the trained front.

    Attributes:
        objectives: Name of the metric (``accuracy``, ``balanced_accuracy`` or that of a training function) first, then
            the costs.
        networks: Sorted by the first cost, the cheapest first.
        hypervolume: Share of the box of `reference` that the front dominates, in [0, 1]; higher is better.
        reference: The box.
        picks: Named networks of the front; one network may have several names. Without costs the most accurate alone.
            None is the cheapest within noise if the noise is unknown.
        direction: Direction in which the metric is preferred.
    """

    __pydantic_config__ = CLOSED

    objectives: Annotated[tuple[Text, ...], Field(min_length=1)]
    networks: tuple[TrainedNetwork, ...]
    hypervolume: Share
    reference: Reference
    picks: tuple[Pick, ...]
    direction: Direction = "maximise"

    def __post_init__(self) -> None:
        if self.metric.is_accuracy:
            for network in self.networks:
                for key in ("accuracy", "error"):
                    if not 0 <= (getattr(network, key) or 0.0) <= 1:
                        value = getattr(network, key)
                        raise ValueError(
                            f"networks: {key} must be from 0 to 1, but got {value} for {network.architecture}"
                        )
        if set(self.reference.axes) != set(self.costs):
            raise ValueError(f"reference: must have the axes {list(self.costs)}, but got {list(self.reference.axes)}")
        if strangers := [pick.architecture for pick in self.picks if pick.architecture not in self.by_id]:
            raise ValueError(f"picks: {strangers[0]!r} is not among the networks")

    @property
    def metric(self) -> Metric:
        """Metric that the networks are compared by, beside the costs."""
        return Metric(self.objectives[0], self.direction)

    @property
    def costs(self) -> tuple[str, ...]:
        """Names of the costs; empty if the search has none."""
        return self.objectives[1:]

    @cached_property
    def by_id(self) -> Mapping[str, TrainedNetwork]:
        """The networks by id."""
        return {network.architecture: network for network in self.networks}

    @property
    def members(self) -> list[TrainedNetwork]:
        """The networks on the front, the cheapest first."""
        return [network for network in self.networks if network.on_front]

    @property
    def finished(self) -> list[TrainedNetwork]:
        """The networks that were trained to the end and tested, the cheapest first."""
        return [network for network in self.networks if network.status == "finished"]

    def pick(self, name: PickName) -> TrainedNetwork | None:
        """Return the network of that name, or None if no network has it."""
        return next((self.by_id[pick.architecture] for pick in self.picks if pick.name == name), None)

    def pick_words(self, pick: Pick) -> str:
        """Return the name of a pick for display: ``most accurate``, or ``best`` by another metric."""
        return self.metric.best if pick.name == "most_accurate" else pick.name.replace("_", " ")

    def picks_of(self, architecture: str) -> list[Pick]:
        """Return the picks of an architecture."""
        return [pick for pick in self.picks if pick.architecture == architecture]

    def to_row(self) -> dict[str, Any]:
        """Return the JSON form; that of an accuracy needs neither its direction nor its ideal."""
        row = asdict(self)
        if self.metric.is_accuracy:
            del row["direction"], row["reference"]["ideal"]
        return row

    @classmethod
    def from_row(cls, row: object) -> "TrainedFront":
        """Return the front of a JSON object.

        Raises:
            ValueError: A key is missing or unknown, or a value is not what the key takes; the message names it.
        """
        return read_row(_FRONT, row)


_FRONT = TypeAdapter(TrainedFront)
