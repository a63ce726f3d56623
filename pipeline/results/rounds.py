"""Rounds of selection: what each chose and why, what was predicted, and what came out of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from zenfront.pipeline.results.metric import Metric
from zenfront.pipeline.results.rows import CLOSED, Count, Number, Positive, Text

ChosenBy = Literal["front", "random", "model"]


@dataclass(frozen=True)
class RankCorrelation:
    """Agreement of predicted and measured accuracies.

    Attributes:
        networks: Number of networks.
        epoch: Epoch after which the accuracies were measured: the last one that all of them have reached.
        tau: Kendall's τ-b; None if it is undefined.
        low: Lower end of its interval of 95 %; None if it is undefined.
        high: Upper end.
    """

    __pydantic_config__ = CLOSED

    networks: Count
    epoch: Count
    tau: Number | None = None
    low: Number | None = None
    high: Number | None = None

    def __str__(self) -> str:
        interval = "" if self.low is None else f" [{self.low:.2f}, {self.high:.2f}]"
        tau = "undefined" if self.tau is None else f"{self.tau:.2f}{interval}"
        return f"τ {tau} on {self.networks} networks, after epoch {self.epoch}"

    @property
    def predicts(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True)
class RoundNetwork:
    """A network of a round.

    Attributes:
        architecture: Id.
        by: ``front``: by the rule of the selection, ``random``: at random, stratified by cost, or ``model``.
        predicted: Validation accuracy after the whole training that the model predicted before the round was trained.
            With a training function, here and below its metric takes the place of the accuracy.
        low: Lower end of its interval of 95 %.
        high: Upper end.
        accuracy: Validation accuracy after the last completed epoch of the first seed.
        epochs: Completed epochs of the first seed.
    """

    __pydantic_config__ = CLOSED

    architecture: Text
    by: ChosenBy
    predicted: Number | None = None
    low: Number | None = None
    high: Number | None = None
    accuracy: Number | None = None
    epochs: Count | None = None

    def prediction(self, metric: Metric) -> str:
        """Return the prediction with its interval in words; a dash without one."""
        if self.predicted is None:
            return "-"
        return f"{metric.shown(self.predicted)} [{metric.shown(self.low)}, {metric.shown(self.high)}]"


@dataclass(frozen=True)
class Round:
    """A round of selection and training.

    Attributes:
        number: From 1.
        rule: Rule that chose: that of the selection, or ``learned``.
        networks: In the order of choice.
        reason: Why the model did not choose, in a round after the first.
        regret: Regret that the model expected to be left before the round was trained: the mean over the cost levels of
            what the best accuracy at most at each would gain if all candidates were trained.
        agreement: Agreement of the predictions with the outcome on this round's networks.
        judged: The same over the newest rounds that together hold enough networks to judge the model by.
    """

    __pydantic_config__ = CLOSED

    number: Positive
    rule: Text
    networks: tuple[RoundNetwork, ...]
    reason: Text = ""
    regret: Number | None = None
    agreement: RankCorrelation | None = None
    judged: RankCorrelation | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the networks."""
        return tuple(network.architecture for network in self.networks)

    def __str__(self) -> str:
        counts = Counter(network.by for network in self.networks)
        parts = [f"{count} {_words(by, self.rule)}" for by, count in counts.items()]
        return f"{', '.join(parts) or 'no architecture is left'}{f' ({self.reason})' if self.reason else ''}"

    def expected_regret(self, metric: Metric) -> str:
        """Return the regret that was expected to be left, in words; a dash without a model."""
        if self.regret is None:
            return "-"
        return f"{100 * self.regret:.2f} points" if metric.is_accuracy else f"{self.regret:.3g}"

    @property
    def choice(self) -> "Round":
        """The round as it was chosen, without what came out of it."""
        networks = tuple(replace(network, accuracy=None, epochs=None) for network in self.networks)
        return replace(self, networks=networks, agreement=None, judged=None)

    def to_row(self) -> dict[str, Any]:
        """Return the JSON form, without what is not known."""
        row: dict[str, Any] = _known(asdict(self))
        row["networks"] = [_known(asdict(network)) for network in self.networks]
        return row


def _words(by: ChosenBy, rule: str) -> str:
    return {"front": f"of the front by {rule}", "random": "at random, stratified by cost", "model": "by the model"}[by]


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}
