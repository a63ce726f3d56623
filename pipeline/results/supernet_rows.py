"""Row of the ledger of a supernet: accuracies of the architectures after a step."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from pydantic import TypeAdapter

from zenfront.pipeline.results.rows import CLOSED, Count, Number, Positive, Seconds, Share, Text, read_row

Kind = Literal["shared", "ema", "swa", "recalibrated", "finetuned"]


@dataclass(frozen=True)
class SupernetStep:
    """Accuracies of the architectures of a group after a step.

    Attributes:
        step: Number of mini-batches that the supernet was trained on.
        kind: Weights that were evaluated: the ``shared`` ones; their moving average ``ema``; the average ``swa`` of the
            last part of the training; with ``recalibrated`` batch normalisation; ``finetuned`` for each architecture.
        child: Index within the group of the architecture that took the last mini-batch.
        accuracy: By architecture of the group, a fraction of the validation images; None: it was dropped before.
        train_loss: Mean loss since the last row of kind ``shared``.
        learning_rate: Learning rate of the last mini-batch.
        seconds: Duration of the training since that row.
        evaluation_seconds: Duration of the evaluation.
        failure: Reason why the training ended early; None if it did not. Such a row has no accuracies.
        part: Name of the training within a study.
    """

    __pydantic_config__ = CLOSED

    step: Positive
    kind: Kind
    child: Count
    accuracy: tuple[Share | None, ...]
    train_loss: Number | None
    learning_rate: Number
    seconds: Seconds
    evaluation_seconds: Seconds
    failure: Text | None = None
    part: Text = ""

    @property
    def key(self) -> tuple[int, str]:
        """What identifies the row within its group."""
        return self.step, self.kind

    def to_row(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self) | {"accuracy": list(self.accuracy)}

    @classmethod
    def from_row(cls, row: object) -> Self:
        """Return the value of a row; raises a ValueError with key, rule and value for a wrong one."""
        return read_row(_ROWS, row)  # type: ignore[return-value]


_ROWS = TypeAdapter(SupernetStep)
