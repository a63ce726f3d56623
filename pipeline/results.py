"""What is known of an architecture, and the append-only record that holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from zenfront.spaces import Architecture

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Scores:
    """The raw scores of one architecture; without values if and only if it failed.

    Attributes:
        architecture: Canonical.
        values: Score by name, finite. An architecture that a cheap constraint excludes has only its costs.
        failure: Why there are no values.
        seed: The experiment's root seed.
        errors: Standard error by name, where the proxy was repeated.
        seconds: Wall-clock seconds by name; the construction of the network is ``build``.
        undefined: Why there is no value, by name, where the others were taken all the same.
    """

    architecture: Architecture
    values: Mapping[str, float]
    failure: str | None
    seed: int
    errors: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    seconds: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    undefined: Mapping[str, str] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        if (self.failure is None) != bool(self.values):
            raise ValueError(f"scores have values or a failure, but got ({self.values=}, {self.failure=})")

    def to_row(self) -> dict[str, Any]:
        """The ledger's form."""
        row: dict[str, Any] = {
            "id": self.architecture.id,
            "space": self.architecture.space,
            "genes": dict(self.architecture.genes),
            "values": dict(self.values),
            "failure": self.failure,
            "seed": self.seed,
            "seconds": {name: round(value, 6) for name, value in self.seconds.items()},
        }
        if self.errors:
            row["errors"] = dict(self.errors)
        if self.undefined:
            row["undefined"] = dict(self.undefined)
        return row

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> "Scores":
        """The inverse of `to_row`."""
        architecture = Architecture.from_dict(row)
        errors, undefined = row.get("errors", {}), row.get("undefined", {})
        return Scores(architecture, row["values"], row["failure"], row["seed"], errors, row["seconds"], undefined)


@dataclass(frozen=True)
class Epoch:
    """One epoch of one training run.

    Attributes:
        trial: ``<architecture id>-<seed>``.
        epoch: Completed epochs, from 1.
        metrics: ``train_loss``, ``val_loss``, ``val_accuracy`` (a fraction), ``learning_rate``, ``seconds``; finite.
        failure: Why the run ended itself in this epoch (then no metrics), or None.
        time: Seconds since the Unix epoch when it was recorded.
    """

    trial: str
    epoch: int
    metrics: Mapping[str, float]
    failure: str | None = None
    time: float = 0.0

    def to_row(self) -> dict[str, Any]:
        """The ledger's form."""
        return {
            "trial": self.trial,
            "epoch": self.epoch,
            "metrics": dict(self.metrics),
            "failure": self.failure,
            "time": self.time,
        }

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> "Epoch":
        """The inverse of `to_row`."""
        return Epoch(row["trial"], row["epoch"], row["metrics"], row["failure"], row["time"])
