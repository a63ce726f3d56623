"""A run and its results, from Python."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from zenfront import spaces
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.export.from_run import run_subject
from zenfront.pipeline.objectives import violations
from zenfront.pipeline.record.data_file import read_overview
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.record.score_record import latest, row_reader
from zenfront.pipeline.user_code import allow


@dataclass(frozen=True)
class Run:
    """A run folder: its experiment, and its results as data frames.

    A data frame holds what is recorded at the time of the call, so that a run at work can be looked at. Scores are in
    the unit of the proxy (`zenfront proxies` lists them); times are in seconds; accuracies are fractions from 0 to 1.

    Attributes:
        path: The run folder.
    """

    path: Path

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment of the run.

        Raises:
            UserError: The folder holds no run.
        """
        return RunFolder(self.path).experiment()

    def classes(self) -> pd.DataFrame:
        """Return the classes of the data, in the order of the networks' outputs.

        Returns:
            A row for each class, with its name as index, and a column with the number of images in each part of the
            data. Empty if nothing is kept: the search needed no images, or an earlier version began the run.

        Raises:
            UserError: The record is damaged.
        """
        found = read_overview(RunFolder(self.path))
        counts = {part.role: part.counts for part in found.parts} if found else {}
        return pd.DataFrame(counts, index=pd.Index(found.classes if found else (), name="class"))

    def scores(self, round: int | None = None) -> pd.DataFrame:
        """Return the architectures that the search scored, in the order of recording.

        Args:
            round: Return what was scored for this round instead: for the first one, samples of the space; for a later
                one, what its search asked, with the score ``learned``, the accuracy that the model expected.

        Returns:
            A row for each architecture, with its id as index. ``architecture``: in the notation of the space. A column
            for each score, in the unit of the proxy; missing where the architecture failed, or was excluded before by a
            cost. A column ``<score>_error`` with the standard error of each score that was repeated. ``feasible``:
            whether all constraints hold. ``failure``: reason of a failure, otherwise missing. ``seconds``: time to
            score it.

        Raises:
            UserError: The record is damaged; the space is code of the experiment that was not allowed.
        """
        folder = RunFolder(self.path) if round is None else RunFolder(self.path).round(round)
        rows = latest(read_values(folder.scores, row_reader(self.experiment, partial=True)))
        space = spaces.load(self.experiment.space, self.experiment.code)
        feasible = violations(rows, self.experiment.constraints) <= 0
        names = [*self.experiment.score_names(), *(["learned"] if round and round > 1 else [])]
        frame = _frame(
            (
                {"id": scores.architecture.id, "architecture": space.notation(scores.architecture)}
                | {name: scores.values.get(name) for name in names}
                | {f"{name}_error": error for name, error in scores.errors.items()}
                | {"feasible": bool(holds), "failure": scores.failure, "seconds": sum(scores.seconds.values())}
                for scores, holds in zip(rows, feasible, strict=True)
            ),
            ["architecture", *names, "feasible", "failure", "seconds"],
        )
        return frame.astype(dict.fromkeys(names, float))

    def front(self) -> pd.DataFrame:
        """Return the front of all feasible architectures, ordered by the first objective.

        Returns:
            A row for each member, with its id as index. ``architecture``: in the notation of the space. A column for
            each score, in the unit of the proxy. ``choice``: place among the selected, from 1; missing if not selected.
            Empty before the selection.

        Raises:
            UserError: The folder holds no run, or its record is damaged.
        """
        record = RunRecord.read(RunFolder(self.path))
        choices = {name: place for place, name in enumerate(record.front.selected if record.front else (), start=1)}
        names = record.experiment.score_names()
        frame = _frame(
            (
                {"id": member.id, "architecture": member.notation}
                | {name: member.values.get(name) for name in names}
                | {"choice": choices.get(member.id)}
                for member in record.members
            ),
            ["architecture", *names, "choice"],
        )
        return frame.astype({"choice": "Int64"})

    def trained(self) -> pd.DataFrame:
        """Return the training runs.

        Returns:
            A row for each run. ``id``: id of the architecture. ``architecture``: in the notation of the space.
            ``seed``. ``status``: ``finished``, ``stopped`` by the scheduler, ``diverged`` or ``failed``. ``epochs``:
            completed epochs. ``val_accuracy``, ``test_accuracy``: fractions from 0 to 1; the test data are used only
            for runs that finish. ``test_loss``: cross-entropy in nats. ``failure``: reason of a failure, otherwise
            missing. ``val_balanced_accuracy``, ``test_balanced_accuracy``: means over the classes, if the experiment
            trains by balanced accuracy. Of a training function, the names in its rows take the place of accuracies
            and losses, with the values of the last completed epoch. Empty before the end of the training.

        Raises:
            UserError: The folder holds no run, or its record is damaged.
        """
        record = RunRecord.read(RunFolder(self.path))
        notations = {member.id: member.notation for member in record.shown}
        measured, train = ["val_accuracy", "test_accuracy", "test_loss"], record.experiment.train
        if train.function:
            every = [train.compared.name, *(name for run in record.trained for name in run.values)]
            measured = list(dict.fromkeys(every))
        columns = ["seed", "status", "epochs", *measured, "failure"]
        if train.metric == "balanced_accuracy":
            columns += ["val_balanced_accuracy", "test_balanced_accuracy"]
        rows = [
            {"id": run.architecture, "architecture": notations.get(run.architecture)}
            | {name: run.values.get(name) if name in run.values else getattr(run, name, None) for name in columns}
            for run in record.trained
        ]
        return pd.DataFrame(rows, columns=["id", "architecture", *columns])

    def rounds(self) -> pd.DataFrame:
        """Return the networks that the rounds of the run have chosen, with what was predicted and what came out.

        Returns:
            A row for each network, in the order of choice. ``round``: from 1. ``id``: id of the architecture.
            ``architecture``: in the notation of the space. ``chosen_by``: ``front``, ``random`` or ``model``.
            ``predicted``, ``low``, ``high``: validation accuracy after the whole training that the model expected, and
            its interval of 95 %, fractions from 0 to 1; missing in the first round. ``val_accuracy``: after ``epochs``
            completed epochs of the first seed; with a training function, its metric is in this place. Empty for a run
            with one round.

        Raises:
            UserError: The folder holds no run, or its record is damaged.
        """
        record = RunRecord.read(RunFolder(self.path))
        notations = {member.id: member.notation for member in record.shown}
        train = record.experiment.train
        measured = train.compared.name if train.function else "val_accuracy"
        columns = ["round", "id", "architecture", "chosen_by", "predicted", "low", "high", measured, "epochs"]
        rows = [
            (
                each.number,
                n.architecture,
                notations[n.architecture],
                n.by,
                n.predicted,
                n.low,
                n.high,
                n.accuracy,
                n.epochs,
            )
            for each in record.rounds
            for n in each.networks
        ]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(["predicted", "low", "high", measured], float))

    def model(
        self,
        network: str | None = None,
        *,
        seed: int | None = None,
        at_rung: int | None = None,
        untrained: bool = False,
    ) -> nn.Module:
        """Return a network of the run as a torch module, with the weights that were tested.

        Args:
            network: ``"knee"``, ``"most_accurate"`` or ``"cheapest_within_noise"`` of the trained front; id of an
                architecture or its beginning; notation; name of a baseline; place among the selected networks, from
                ``"1"``. The knee if not given, or without one the most accurate.
            seed: Seed of the training; that with the best validation accuracy if not given.
            at_rung: Take the weights after that number of epochs, of a network that was stopped early.
            untrained: Take fresh weights, drawn with `seed`, 0 if not given.

        Returns:
            The network (N, C, H, W) -> (N, K) logits, on the CPU, in float32 and in evaluation mode. Its images are
            normalised; `zenfront export` writes mean and deviation beside the weights.

        Raises:
            UserError: There is no such network, it was not trained to the end, or its checkpoint is missing or damaged;
                the space is code of the experiment that was not allowed.
        """
        found = run_subject(RunFolder(self.path), network, seed=seed, at_rung=at_rung, untrained=untrained)
        return found.network

    def __repr__(self) -> str:
        folder = RunFolder(self.path)
        done = [f"{len(self.scores())} scored"]
        done += [f"front of {len(self.front())}"] if folder.front.exists() else []
        done += [f"{len(self.trained())} trained"] if folder.trained.exists() else []
        return f"Run({str(self.path)!r}, space {self.experiment.space}: {', '.join(done)})"


def open_run(folder: str | PathLike[str], *, allow_code: bool = False) -> Run:
    """Open a run folder, such as ``runs/quickstart``.

    Args:
        folder: The folder that a search has made; runs of the command line lie in ``runs/`` by default.
        allow_code: Run the Python files that the experiment names as its space or its scores: `Run.scores` needs the
            space. Read them first: they run with all your rights.

    Returns:
        The run, whose results are data frames.

    Raises:
        UserError: The folder holds no run, or one of another version of Zenfront.
    """
    run = Run(Path(folder))
    code = run.experiment.own_code()
    if allow_code:
        allow(code)
    return run


def _frame(rows: Iterable[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Return rows with their id as index; columns beside the named ones come last."""
    listed = list(rows)
    more = [name for name in dict.fromkeys(name for row in listed for name in row) if name not in ("id", *columns)]
    return pd.DataFrame(listed, columns=["id", *columns, *more]).set_index("id")
