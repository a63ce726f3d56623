"""Training by a function of the user's own, as a generator of epochs."""

import hashlib
import logging
import math
import numbers
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zenfront.pipeline.device import deterministic_algorithms
from zenfront.pipeline.errors import UserError, shortened
from zenfront.pipeline.results.metric import Metric
from zenfront.pipeline.results.stage_rows import SECONDS, Epoch
from zenfront.pipeline.seeds import seed_for, seed_global_generators, torch_generator
from zenfront.pipeline.training import checkpoint as checkpoints
from zenfront.pipeline.user_code import UserCode
from zenfront.spaces import Network, initialise

OWN_FOLDER = "function"
"""Folder of the function's own files, in that of the run's checkpoints."""
MOST_NAMES = 100
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/ ]{0,99}")
_log = logging.getLogger(__name__)


class FunctionFailed(Exception):
    """The training function raised an exception; the message has file, line and reason."""


@dataclass(frozen=True)
class TrainingFunction:
    """A training function and what it is called with; a value that can be sent to workers.

    Attributes:
        code: Its code.
        metric: What runs are compared by, a key of its rows.
        options: Options of the experiment.
        taken: Names that its rows must not have, since the scores of the search have them.
    """

    code: UserCode
    metric: Metric
    options: Mapping[str, object]
    taken: frozenset[str] = frozenset()

    def train(
        self,
        network: Network,
        *,
        epochs: int,
        seed: int,
        device: torch.device,
        checkpoint: Path,
        note: Callable[[str], None] = lambda text: None,
    ) -> Generator[Epoch, None, None]:
        """Train a network from new weights, or resume its checkpoint.

        The n-th row of the function is that of epoch n, in every call. Rows that are in the checkpoint are compared and
        yielded as recorded. After each new row the network is saved as the function leaves it, before the epoch is
        yielded. Python's, NumPy's and PyTorch's global generators are seeded before each row, by (seed, epoch) alone.

        Args:
            network: Network as built, on any device. Its weights are drawn here, from the seed.
            epochs: Number of epochs of the whole run.
            seed: Seed of the run.
            device: Device of the training.
            checkpoint: Folder of the run's checkpoints; the function gets a folder in it.
            note: Called with what the user should know.

        Raises:
            UserError: A row breaks a rule, or there are too few or too many; the checkpoint belongs to another run or
                cannot be written.
            FunctionFailed: The function raised an exception.
        """
        identity = self._identity(network, epochs, seed)
        initialise(network, torch_generator(seed, "weights"), "kaiming", device)
        saved = checkpoints.load(checkpoint, identity)
        history = [Epoch("", **row) for row in saved["history"]] if saved else []
        own = checkpoint / OWN_FOLDER
        own.mkdir(parents=True, exist_ok=True)
        resumes = any(own.iterdir())
        with self._called(network, epochs, seed, device, own) as following:
            for epoch in range(1, epochs + 1):
                start = time.perf_counter()
                row = self._row(following(epoch), epoch, epochs)
                if epoch <= len(history):
                    self._compare(row, history, epoch, resumes, note)
                    yield history[epoch - 1]
                    continue
                metrics = self._numbers(row, epoch, history)
                if failure := _divergence(metrics):
                    yield Epoch("", epoch, {}, failure)
                    return
                history.append(Epoch("", epoch, {SECONDS: time.perf_counter() - start} | metrics))
                checkpoints.save(checkpoint, epoch, identity, _state(network, history))
                if epoch == epochs and following(epochs + 1) is not None:
                    raise UserError(
                        f"{self.code.where()}: the function yielded more rows than the {epochs} epochs asked."
                    )
                yield history[-1]

    @contextmanager
    def _called(
        self, network: Network, epochs: int, seed: int, device: torch.device, own: Path
    ) -> Iterator[Callable[[int], object]]:
        """Give what returns the next row of the function, None at the end; close the function afterwards."""
        function, rows = self.code.load(), list[Iterator[object]]()
        given = {"epochs": epochs, "seed": seed, "device": device, "checkpoint": own, "options": dict(self.options)}

        def following(epoch: int) -> object:
            seed_global_generators(seed_for(seed, "training function", str(epoch)))
            with deterministic_algorithms(device.type):
                if not rows:
                    rows.append(self._iterator(self._guarded(lambda: function(network, **given))))
                return self._guarded(lambda: next(rows[0], None))

        try:
            yield following
        finally:
            try:
                for each in rows:
                    getattr(each, "close", lambda: None)()
            except Exception as error:  # the rows that it yielded count all the same
                _log.warning("%s: closing the function: %s: %s", self.code.where(error), type(error).__name__, error)

    def _guarded(self, work: Callable[[], object]) -> object:
        """Return the result of work of the function; an exception becomes a reason with file and line."""
        try:
            return work()
        except (Exception, SystemExit) as error:
            reason = f"{self.code.where(error)}: {type(error).__name__}: {' '.join(str(error).split())}"
            raise FunctionFailed(shortened(reason)) from error

    def _iterator(self, made: object) -> Iterator[object]:
        if not isinstance(made, Iterator):
            raise UserError(
                f"{self.code.where()}: {self.code.attribute} must be a generator, which yields a row for each epoch, "
                f"but it returned a {type(made).__name__}."
            )
        return made

    def _row(self, row: object, epoch: int, epochs: int) -> Mapping[object, object]:
        """Return a row with the metric as a number in range or NaN."""
        if row is None:
            raise UserError(
                f"{self.code.where()}: the function ended after {epoch - 1} rows, but {epochs} epochs are asked. Also "
                "when it resumes, it yields a row for every epoch, from the first one on."
            )
        where = f"{self.code.where()}: epoch {epoch}"
        if not isinstance(row, Mapping):
            raise UserError(f"{where}: a row must be a mapping of names to numbers, but is a {type(row).__name__}.")
        name = self.metric.name
        if name not in row:
            names = ", ".join(map(str, row)) or "nothing"
            raise UserError(
                f"{where}: the metric {name!r} is missing; the row has {names}. Yield it, or name another: "
                "train.metric={name: ..., direction: ...}."
            )
        value = self._number(row[name], where, name)
        if self.metric.is_accuracy and math.isfinite(value) and not 0 <= value <= 1:
            raise UserError(f"{where}, key {name!r}: an accuracy is a fraction from 0 to 1, but is {value:g}.")
        return row

    def _numbers(self, row: Mapping[object, object], epoch: int, history: list[Epoch]) -> dict[str, float]:
        """Return the numbers of a row, whose names are those of the rows before."""
        where, found = f"{self.code.where()}: epoch {epoch}", dict[str, float]()
        for name, value in row.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise UserError(f"{where}, key {name!r}: a name has letters, digits and _ - . / only, at most 100.")
            if name in self.taken:
                raise UserError(f"{where}, key {name!r}: a score of the search has this name. Give it another.")
            found[name] = self._number(value, where, name)
        if len(found) > MOST_NAMES:
            raise UserError(f"{where}: a row has at most {MOST_NAMES} numbers, but this one {len(found)}.")
        if history:
            free = {SECONDS, f"test_{self.metric.name}"}
            for name in sorted((found.keys() ^ history[0].metrics.keys()) - free):
                problem = "is new, and epoch 1 did not have it" if name in found else "is missing, which epoch 1 had"
                raise UserError(f"{where}, key {name!r}: it {problem}. All rows have the same names.")
        return found

    def _number(self, value: object, where: str, name: object) -> float:
        if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
            return float(value.item())  # float() warns of gradients
        if not isinstance(value, bool) and isinstance(value, numbers.Real):
            return float(value)
        raise UserError(f"{where}, key {name!r}: must be a number, but is a {type(value).__name__}.")

    def _compare(
        self,
        row: Mapping[object, object],
        history: list[Epoch],
        epoch: int,
        resumes: bool,
        note: Callable[[str], None],
    ) -> None:
        """Compare the metric with the recorded one, which stays; a function that resumes must yield what it saved."""
        name = self.metric.name
        now, before = self._number(row[name], "", name), history[epoch - 1].metrics[name]
        if now == before:
            return
        told = f"{self.code.where()}: epoch {epoch}: {name} is {now!r}, but {before!r} is recorded"
        if epoch == 1 and resumes:
            raise UserError(
                f"{told}. A function that resumes from its checkpoint first yields the rows of the epochs in it, as "
                "they were; save them with it (docs/own-training.md)."
            )
        note(f"{told}, which stays: the function does not repeat itself")

    def _identity(self, network: Network, epochs: int, seed: int) -> dict[str, Any]:
        """Return everything that the run depends on, as JSON values."""
        return {
            "network": hashlib.sha256(repr(network).encode()).hexdigest()[:16],
            "function": self.code.digest[:16],
            "options": dict(self.options),
            "epochs": epochs,
            "seed": seed,
        }


def _divergence(metrics: Mapping[str, float]) -> str | None:
    """Return the reason for which a run counts as diverged, or None."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            return f"training diverged: {name} is {value}"
    return None


def _state(network: Network, history: list[Epoch]) -> dict[str, Any]:
    rows = [{"epoch": each.epoch, "metrics": dict(each.metrics)} for each in history]
    return {"history": rows, "network": network.state_dict()}
