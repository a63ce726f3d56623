"""Run the stages for the command line, with the run folder, the view, the backup and the MLflow mirror."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from zenfront.pipeline.checks import cautions, check, check_data
from zenfront.pipeline.cli.console import ConsoleView
from zenfront.pipeline.cli.signals import resumable
from zenfront.pipeline.cli.summary import show_front, show_places, show_training
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import find_config, load_experiment, with_overrides
from zenfront.pipeline.experiment.earlier_versions import continued, note_on
from zenfront.pipeline.record.backup import Backup, copied_experiment, storage_of
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.training_result import compared_costs
from zenfront.pipeline.tracking import Mirror, sync
from zenfront.pipeline.user_code import allow, require_allowed


@dataclass(frozen=True)
class RunCommands:
    """The commands that work on one run: each public method without arguments is one.

    Attributes:
        experiment: The experiment of the run.
        folder: The run folder.
    """

    experiment: Experiment
    folder: RunFolder

    @staticmethod
    def start(
        config: str, overrides: Sequence[str], runs: Path, address: str | None = None, allow_code: bool = False
    ) -> "RunCommands":
        """Return the commands for a run that may be new: a file gives the experiment, or else a run folder."""
        if not find_config(Path(config)) and _found(config, runs):
            return RunCommands.resume(config, overrides, runs, address, allow_code)
        return RunCommands._checked(load_experiment(config, overrides, allow_code=allow_code), runs, address)

    @staticmethod
    def resume(
        run: str, overrides: Sequence[str], runs: Path, address: str | None = None, allow_code: bool = False
    ) -> "RunCommands":
        """Return the commands for a run that exists: its folder gives the experiment, unless `run` names a file."""
        folder = _found(run, runs)
        if folder is None:
            return RunCommands.start(run, overrides, runs, address, allow_code)
        experiment = with_overrides(folder.experiment(), overrides, allow_code=allow_code)
        return RunCommands._checked(experiment, folder.path.parent, address)

    @staticmethod
    def _checked(experiment: Experiment, runs: Path, address: str | None) -> "RunCommands":
        check(experiment)
        if address:
            cluster = experiment.cluster.model_copy(update={"address": address})
            experiment = experiment.model_copy(update={"cluster": cluster})
        return RunCommands(experiment, RunFolder(runs / experiment.name))

    def do(self, command: str) -> None:
        """Run the command of that name: here, or on the head node of a cluster that is reached by ``ray://``."""
        address = self.experiment.cluster.address or ""
        if not address.startswith("ray://"):
            getattr(self._as_begun(), command)()
            return
        if not self.folder.path.is_absolute():
            raise UserError(
                f"with {address} the head node drives the work and holds the run folder, but {self.folder.path.parent} "
                "is a relative path: give an absolute path with --runs."
            )
        from zenfront.pipeline.cluster import head_node

        there = RunCommands(with_overrides(self.experiment, ["cluster.address=auto"]), self.folder)
        try:
            head_node.call(address, _do_there, there, command, sys.argv)
        except KeyboardInterrupt as interrupt:  # the head node has printed the message
            raise typer.Exit(130) from interrupt

    def _as_begun(self) -> "RunCommands":
        """Return the commands with what an earlier version did that began the run, and say so if it differs."""
        stored = self.folder.stored_experiment() or self._stored_copy()
        experiment = continued(self.experiment, stored) if stored else self.experiment
        if note := note_on(self.experiment, experiment):
            self._say(note)
        return replace(self, experiment=experiment)

    def _stored_copy(self) -> dict[str, Any] | None:
        storage = storage_of(self.experiment)
        try:
            return copied_experiment(self.folder, storage) if storage else None
        except OSError:  # the backup tells the user
            return None

    def run(self) -> None:
        """Run all stages. The images are checked before the search, and not after it."""
        with self._driving():
            if self._finished:
                self._say("finished already, nothing left to do")
            else:
                check_data(self.experiment)
                with self._mirrored() as mirror:
                    self._search(mirror)
                    self._select()
                    self._train(mirror)
                    self._report()
        show_front(self.folder)
        show_training(self.folder)
        show_places(self.folder, self.experiment)

    def search(self) -> None:
        """Run stage 1."""
        with self._driving(), self._mirrored() as mirror:
            self._search(mirror)
        typer.echo(f"Scores: {self.folder.scores}. Continue with `zenfront select {self._again}`.")

    def select(self) -> None:
        """Run stage 2."""
        with self._driving(), self._mirrored():
            self._select()
        show_front(self.folder)
        typer.echo(f"Front: {self.folder.front}. Continue with `zenfront train {self._again}`.")

    def train(self) -> None:
        """Run stage 3."""
        with self._driving(), self._mirrored() as mirror:
            self._train(mirror)
        show_training(self.folder)
        typer.echo(f"Results: {self.folder.trained}. Continue with `zenfront report {self._again}`.")

    def sync(self) -> None:
        """Send to MLflow what it does not have yet."""
        sent = sync(self.folder, self.experiment)
        typer.echo(f"MLflow has {self.experiment.name}: {len(sent)} runs.")

    @contextmanager
    def _driving(self) -> Iterator[None]:
        """Lock the folder and back it up for the time of a block; after Ctrl-C or SIGTERM, print how to continue."""
        self._check_folder_stays()
        with resumable(), self.folder.driving(self.experiment), self._copied():
            yield

    def _check_folder_stays(self) -> None:
        """Require a folder that outlives a Ray job: Ray deletes the copy of the working directory with the job."""
        if "_ray_pkg_" in str(self.folder.path.resolve()) and not self.experiment.cluster.storage:
            raise UserError(
                f"the run folder {self.folder.path} is in the working directory of a Ray job, which is deleted with "
                "the job. Give an absolute path on a disk that stays (--runs DIR), or --set cluster.storage=..."
            )

    def _copied(self) -> AbstractContextManager[object]:
        storage = storage_of(self.experiment)
        return Backup(self.folder, self.experiment, storage, typer.echo) if storage else nullcontext()

    def _mirrored(self) -> Mirror:
        return Mirror(self.folder, self.experiment, typer.echo)

    @property
    def _again(self) -> str:
        return f"{self.experiment.name}{' --allow-code' if self.experiment.own_code() else ''}"

    @property
    def _finished(self) -> bool:
        return self.folder.trained.exists() and (self.folder.report / "index.html").exists()

    def _search(self, mirror: Mirror) -> None:
        from zenfront.pipeline.stages.search.stage import search

        for caution in cautions(self.experiment):
            typer.echo(f"{self.experiment.name}: {caution}", err=True)
        self._say(f"searching {self.experiment.space} for {self.experiment.search.evaluations} architectures")
        with ConsoleView() as view:
            search(self.experiment, self.folder, view)
        mirror.poke()

    def _select(self) -> None:
        from zenfront.pipeline.stages.select import select, shortfall

        front = select(self.experiment, self.folder)
        if short := shortfall(front, self.experiment.select.k):
            self._say(short)

    def _train(self, mirror: Mirror) -> None:
        from zenfront.pipeline.stages.train.stage import train

        train_config = self.experiment.train
        compared = " and ".join([train_config.metric.replace("_", " "), *compared_costs(self.experiment)])
        self._say(
            f"training the selected architectures, up to {train_config.epochs} epochs each; compared by {compared}"
        )
        with ConsoleView() as view:
            train(self.experiment, self.folder, view)
        mirror.poke()

    def _report(self) -> None:
        from zenfront.pipeline.stages.report.stage import report

        report(self.folder)

    def _say(self, text: str) -> None:
        typer.echo(f"{self.experiment.name}: {text}")


def _do_there(driver: RunCommands, command: str, words: list[str]) -> None:
    sys.argv = words  # the command that messages quote
    driver.do(command)


def report(names: Sequence[str], runs: Path, allow_code: bool = False) -> None:
    """Write the report of one run, or the comparison of several, and print where it is.

    Raises:
        UserError: There is no run of one of the names.
    """
    from zenfront.pipeline.stages.report.stage import compare
    from zenfront.pipeline.stages.report.stage import report as write

    folders = [_run(name, runs) for name in names]
    for code in (folder.experiment().own_code() for folder in folders):
        if allow_code:
            allow(code)
        require_allowed(code)
    page = write(folders[0]) if len(folders) == 1 else compare(folders)
    typer.echo(f"Report: {page}")
    if len(folders) == 1:
        try:
            sync(folders[0])
        except UserError as error:  # the report is written; it does not need MLflow
            typer.echo(f"zenfront: {error}", err=True)


def _found(run: str, runs: Path) -> RunFolder | None:
    """Return the run of that name or folder, if there is one."""
    for path in (runs / run, Path(run)):
        if RunFolder(path).config.is_file():
            return RunFolder(path)
    return None


def _run(name: str, runs: Path) -> RunFolder:
    folder = _found(name, runs)
    if folder is None:
        known = sorted(path.parent.name for path in runs.glob("*/experiment.json"))
        raise UserError(f"there is no run {name!r} in {runs}. Runs there: {', '.join(known) or 'none'}.")
    return folder
