"""Run the stages for the command line, with the run folder, the view, the backup and the MLflow mirror."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import typer

from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.cli.terminal.signals import resumable
from zenfront.pipeline.cli.terminal.summary import show_front, show_places, show_training
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import with_overrides
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.stages.run_stages import RunStages, find_run, resume_run, start_run
from zenfront.pipeline.tracking import sync
from zenfront.pipeline.user_code import allow, require_allowed
from zenfront.pipeline.wording import suggestion


@dataclass(frozen=True)
class RunCommands:
    """The commands that work on one run: each public method without arguments is one.

    Attributes:
        experiment: The experiment of the run.
        folder: The run folder.
        retry_failed: Whether a search scores again what is recorded as failed.
    """

    experiment: Experiment
    folder: RunFolder
    retry_failed: bool = False

    @staticmethod
    def start(
        config: str,
        overrides: Sequence[str],
        runs: Path,
        address: str | None = None,
        allow_code: bool = False,
        trust_config: bool = False,
    ) -> "RunCommands":
        """Return the commands for a run that may be new: a file gives the experiment, or else a run folder."""
        return RunCommands(*start_run(config, overrides, runs, address, allow_code, trust_config))

    @staticmethod
    def resume(
        run: str,
        overrides: Sequence[str],
        runs: Path,
        address: str | None = None,
        allow_code: bool = False,
        trust_config: bool = False,
    ) -> "RunCommands":
        """Return the commands for a run that exists: its folder gives the experiment, unless `run` names a file."""
        return RunCommands(*resume_run(run, overrides, runs, address, allow_code, trust_config))

    def do(self, command: str) -> None:
        """Run the command of that name: here, or on the head node of a cluster that is reached by ``ray://``."""
        address = self.experiment.cluster.address or ""
        if not address.startswith("ray://"):
            getattr(replace(self, experiment=self._stages.as_begun().experiment), command)()
            return
        if not self.folder.path.is_absolute():
            raise UserError(
                f"with {address} the head node drives the work and holds the run folder, but {self.folder.path.parent} "
                "is a relative path: give an absolute path with --runs."
            )
        from zenfront.pipeline.cluster import head_node

        there = replace(self, experiment=with_overrides(self.experiment, ["cluster.address=auto"]))
        try:
            head_node.call(address, _do_there, there, command, sys.argv)
        except KeyboardInterrupt as interrupt:  # the head node has printed the message
            raise typer.Exit(130) from interrupt

    def run(self) -> None:
        """Run all stages. The images are checked before the search, and not after it."""
        with self._driving():
            if self._stages.finished:
                typer.echo(f"{self.experiment.name}: finished already, nothing left to do")
            self._stages.run()
        show_front(self.folder)
        show_training(self.folder)
        show_places(self.folder, self.experiment)

    def search(self) -> None:
        """Run stage 1."""
        with self._driving(), self._stages.mirrored() as mirror:
            self._stages.search(mirror, retry_failed=self.retry_failed)
        typer.echo(f"Scores: {self.folder.scores}. Continue with {self._next('select')}.")

    def select(self) -> None:
        """Run stage 2."""
        with self._driving(), self._stages.mirrored():
            self._stages.select()
        show_front(self.folder)
        typer.echo(f"Front: {self.folder.front}. Continue with {self._next('train')}.")

    def train(self) -> None:
        """Run stage 3."""
        with self._driving(), self._stages.mirrored() as mirror:
            self._stages.train(mirror)
        show_training(self.folder)
        typer.echo(f"Results: {self.folder.trained}. Continue with {self._next('report')}.")

    def sync(self) -> None:
        """Send to MLflow what it does not have yet."""
        sent = sync(self.folder, self.experiment)
        typer.echo(f"MLflow has {self.experiment.name}: {len(sent)} runs.")

    @contextmanager
    def _driving(self) -> Iterator[None]:
        """Lock the folder and back it up for the time of a block; after Ctrl-C or SIGTERM, print how to continue."""
        with resumable(), self._stages.driving():
            yield

    @property
    def _stages(self) -> RunStages:
        return RunStages(self.experiment, self.folder, ConsoleView, typer.echo, partial(typer.echo, err=True))

    def _next(self, verb: str) -> str:
        return command(verb, self.folder.path, self.experiment)


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

    folders = [existing_run(name, runs) for name in names]
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


def existing_run(name: str, runs: Path) -> RunFolder:
    """Return the folder of a run, given by its name or its path.

    Raises:
        UserError: There is no such run.
    """
    folder = find_run(name, runs)
    if folder is None:
        known = sorted(path.parent.name for path in runs.glob("*/experiment.json"))
        raise UserError(
            f"there is no run {name!r} in {runs}.{suggestion(name, known)} Runs there: {', '.join(known) or 'none'}."
        )
    return folder
