"""Searches and whole runs, from Python."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from zenfront._run import Run
from zenfront.pipeline.checks import cautions, check, check_data
from zenfront.pipeline.cli.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment, with_overrides
from zenfront.pipeline.experiment.earlier_versions import note_on
from zenfront.pipeline.progress import SearchProgress, TrialProgress, View
from zenfront.pipeline.record.backup import Backup, storage_of
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.tracking import Mirror

Config = str | PathLike[str] | Experiment


def search(
    config: Config,
    *,
    overrides: Sequence[str] = (),
    backend: Literal["ray", "serial"] = "ray",
    runs: str | PathLike[str] = "runs",
    address: str | None = None,
    tracking: bool = True,
    progress: bool = True,
    allow_code: bool = False,
) -> Run:
    """Search a space without training, and select what is worth training.

    An interrupted search goes on where it ended, and a finished one is not repeated: the result depends on the
    experiment alone, not on the backend, the workers or an interruption.

    Args:
        config: YAML file of an experiment, or the name of one that comes with Zenfront (``"quickstart"``), or the
            `Run.experiment` of another run.
        overrides: Changes of the experiment, ``["search.evaluations=64", "name=second"]``; the values are YAML.
        backend: ``"ray"``: on all processors of this machine, or on a cluster. ``"serial"``: in this process, one
            architecture after the other, without Ray. Scores and front are the same; but in this process a candidate
            that crashes native code ends the search, and the time limit of a candidate needs the main thread.
        runs: Folder that holds the run folders; the run's own is named after the experiment.
        address: Ray cluster to work on, such as ``"auto"``; the experiment's if not given.
        tracking: Mirror the run in MLflow, as the command line does; `zenfront sync` can do so later.
        progress: Print the progress.
        allow_code: Run the Python files that the experiment names as its space or its scores; they run with all your
            rights. Files that an override names are allowed.

    Returns:
        The run; its `Run.front` holds the selection.

    Raises:
        UserError: The experiment is wrong, or names code that is not allowed; another process works on the run; no
            architecture is feasible; the record cannot be written; the cluster does not answer.
        KeyboardInterrupt: The search was interrupted; the same call goes on.
    """
    if backend not in ("ray", "serial"):
        raise UserError(f"backend= must be 'ray' or 'serial', but got {backend!r}.")
    if backend == "serial" and address:
        raise UserError(f"address= goes with backend='ray', but got address={address!r} and backend='serial'.")
    job = _Job.of(config, overrides, runs, address, allow_code)
    with job.at_work(tracking, progress):
        job.search(backend)
    return Run(job.folder.path)


def run(
    config: Config,
    *,
    overrides: Sequence[str] = (),
    runs: str | PathLike[str] = "runs",
    address: str | None = None,
    tracking: bool = True,
    progress: bool = True,
    allow_code: bool = False,
) -> Run:
    """Run all stages: search, select, train, report.

    The stages work on Ray. An interrupted run goes on where it ended; a finished one is not repeated.

    Args:
        config: As for `search`.
        overrides: As for `search`.
        runs: As for `search`.
        address: As for `search`.
        tracking: As for `search`.
        progress: As for `search`.
        allow_code: As for `search`.

    Returns:
        The run; its `Run.trained` holds the accuracies, and the report lies in the run folder.

    Raises:
        UserError: As `search`; the images are missing or not what the task says; no worker could train anything.
        KeyboardInterrupt: The run was interrupted; the same call goes on.
    """
    job = _Job.of(config, overrides, runs, address, allow_code)
    check_data(job.experiment)
    with job.at_work(tracking, progress):
        job.search("ray")
        job.train()
        job.report()
    return Run(job.folder.path)


@dataclass
class _Job:
    """The stages of one experiment, in its folder."""

    experiment: Experiment
    folder: RunFolder

    @staticmethod
    def of(
        config: Config, overrides: Sequence[str], runs: str | PathLike[str], address: str | None, allow_code: bool
    ) -> "_Job":
        if isinstance(config, Experiment):
            experiment = with_overrides(config, overrides, allow_code=allow_code)
        else:
            experiment = load_experiment(Path(config), overrides, allow_code=allow_code)
        check(experiment)
        if address:
            cluster = experiment.cluster.model_copy(update={"address": address})
            experiment = experiment.model_copy(update={"cluster": cluster})
        if (experiment.cluster.address or "").startswith("ray://"):
            raise UserError(
                f"{experiment.cluster.address} reaches Ray's client only, and a run is driven from the head node: use "
                "`zenfront search --address ray://...`, or run this on the cluster with address='auto'."
            )
        return _Job(experiment, RunFolder(Path(runs) / experiment.name))

    @contextmanager
    def at_work(self, tracking: bool, progress: bool) -> Iterator[None]:
        """Hold the folder, keep its copy, mirror it and show the progress for the duration of the context."""
        with ExitStack() as stack:
            begun = stack.enter_context(self.folder.driving(self.experiment))
            self._view: View = stack.enter_context(ConsoleView()) if progress else _Silent()
            if note := note_on(self.experiment, begun):
                self._view.notify(f"{begun.name}: {note}")
            self.experiment = begun
            if storage := storage_of(self.experiment):
                stack.enter_context(Backup(self.folder, self.experiment, storage, self._view.notify))
            self._mirror: Mirror | None = None
            if tracking:
                self._mirror = stack.enter_context(Mirror(self.folder, self.experiment, self._view.notify))
            yield

    def search(self, backend: Literal["ray", "serial"]) -> None:
        from zenfront.pipeline.stages.search.stage import search
        from zenfront.pipeline.stages.select import select, shortfall

        for caution in cautions(self.experiment):
            self._view.notify(f"{self.experiment.name}: {caution}")
        search(self.experiment, self.folder, self._view, backend)
        if short := shortfall(select(self.experiment, self.folder), self.experiment.select.k):
            self._view.notify(f"{self.experiment.name}: {short}")
        self._poke()

    def train(self) -> None:
        from zenfront.pipeline.stages.train.stage import train

        train(self.experiment, self.folder, self._view)
        self._poke()

    def report(self) -> None:
        from zenfront.pipeline.stages.report.stage import report

        report(self.folder)

    def _poke(self) -> None:
        if self._mirror:
            self._mirror.poke()


class _Silent:
    """A view that shows nothing."""

    def search(self, progress: SearchProgress) -> None:
        """Show nothing."""

    def trial(self, progress: TrialProgress) -> None:
        """Show nothing."""

    def notify(self, text: str) -> None:
        """Show nothing."""
