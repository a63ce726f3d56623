"""Worker of the training stage: a Tune trial trains one run from its checkpoint until the driver stops it."""

from collections.abc import Generator
from contextlib import suppress
from dataclasses import astuple, replace
from typing import Any

import torch
from ray import tune

from zenfront.pipeline.cluster.peers import InStore, PeerFailed
from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.cluster.workers import show
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.stages.train.team import Team
from zenfront.pipeline.stages.train.training import Training
from zenfront.pipeline.training.function import FunctionFailed
from zenfront.spaces import Architecture


class TrainingWorker(tune.Trainable):  # type: ignore[misc]
    """Tune trainable that trains one epoch in a step, or tests.

    A step reports ``rows`` (one epoch that the record lacks), ``test`` (the fields of an `Evaluation` as a list, since
    Tune takes nested mappings apart), an ``error`` or a ``failure``, and ``notes`` for the user.

    Configuration: ``name`` of the run, ``architecture`` as JSON, ``seed``, ``recorded`` epochs, whether to ``test``.
    An ``error`` is one that the user can correct and not the fault of the run. After a ``failure``, the state of this
    process cannot be trusted: it ends itself in the next step. The driver decides when to stop.
    """

    def setup(
        self, config: dict[str, Any], training: Training | InStore[Training], threads: int, devices: int = 1
    ) -> None:
        """Set the constants of the stage and the first run; start the processes of the other devices."""
        torch.set_num_threads(threads)
        self.team = Team(training, threads, devices)
        self.training = self.team.training
        self.reset_config(config)

    notes: list[str | None]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Set the next run on the same process."""
        self.cleanup()
        self.job = new_config
        self.run = (new_config["name"], Architecture.from_json(new_config["architecture"]), new_config["seed"])
        self.epochs: Generator[Epoch, None, None] | None = None  # frees the memory of the last one
        self.failure: Exception | None = None
        self.team.begin(new_config)
        return True

    def cleanup(self) -> None:
        """End the run: a training function is closed, wherever it is; Tune calls this when the worker ends."""
        if epochs := getattr(self, "epochs", None):
            with suppress(TimeoutError), time_limit(self.training.seconds):
                epochs.close()

    def step(self) -> dict[str, Any]:
        """Train one epoch, or test."""
        show(f"TrainingWorker: {'test of ' if self.job['test'] else ''}{self.job['name']}")
        if self.failure:
            raise self.failure
        try:
            return self._test() if self.job["test"] else self._epoch()
        except UserError as error:
            return {"error": str(error)}
        except (FunctionFailed, PeerFailed) as error:
            self.failure = error
            return {"failure": str(error)}
        except Exception as error:  # as text: Tune reports an exception as a pickle alone
            self.failure = error
            return {"failure": f"{type(error).__name__}: {' '.join(str(error).split())}"}

    def _epoch(self) -> dict[str, Any]:
        name, architecture, seed = self.run
        if self.epochs is None:
            self.notes = [self.training.copies.fetch(name)]
            self.epochs = self.training.run(architecture, seed, name, lambda text: self.notes.append(f"{name}: {text}"))
        epoch = self.team.together(self._next, "epoch")
        notes, self.notes = [*self.notes, self.training.copies.keep(name)], []
        return {"rows": [replace(epoch, trial=name).to_row()], "notes": list(filter(None, notes))}

    def _next(self) -> Epoch:
        assert self.epochs
        return next(epoch for epoch in self.epochs if epoch.epoch > self.job["recorded"])

    def _test(self) -> dict[str, Any]:
        name, architecture, seed = self.run
        note = self.training.copies.fetch(name)
        test = self.team.together(lambda: self.training.test(architecture, seed, name), "test")
        return {"test": list(astuple(test)), "notes": [note] if note else []}
