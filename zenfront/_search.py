"""Searches and whole runs, from Python."""

from collections.abc import Sequence
from contextlib import nullcontext
from os import PathLike
from pathlib import Path

from zenfront._run import Run
from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import Backend, SearchProgress, TrialProgress
from zenfront.pipeline.stages.run_stages import RunStages, start_run

Config = str | PathLike[str] | Experiment


def search(
    config: Config,
    *,
    overrides: Sequence[str] = (),
    backend: Backend = "ray",
    runs: str | PathLike[str] = "runs",
    address: str | None = None,
    allow_code: bool = False,
    retry_failed: bool = False,
    trust_config: bool = False,
    tracking: bool = True,
    progress: bool = True,
) -> Run:
    """Search a space without training, and select what is worth training.

    An interrupted search goes on where it ended, and a finished one is not repeated: the result depends on the
    experiment alone, not on the backend, the workers or an interruption.

    Args:
        config: YAML file of an experiment, the name of one that comes with Zenfront (``"quickstart"``), the name or
            folder of a run, or the `Run.experiment` of another run.
        overrides: Changes of the experiment, ``["search.evaluations=64", "name=second"]``; the values are YAML.
        backend: ``"ray"``: on all processors of this machine, or on a cluster. ``"serial"``: in this process, one
            architecture after the other, without Ray. Scores and front are the same; but in this process a candidate
            that crashes native code ends the search, and the time limit of a candidate needs the main thread.
        runs: Folder that holds the run folders; the run's own is named after the experiment.
        address: Ray cluster to work on, such as ``"auto"``; the experiment's if not given.
        allow_code: Run the Python files that the experiment names as its space or its scores. Read them first: they run
            with all your rights. Files that an override names are allowed.
        retry_failed: Score the architectures again that are recorded as failed, after their cause was removed.
        trust_config: Connect, read and write where a YAML file says (`cluster.address`, `cluster.storage`,
            `tracking.uri`). Without it, these are taken from `overrides`, `address`, the environment and the user's
            settings alone. Those of an `Experiment` count, since this program made it.
        tracking: Mirror the run in MLflow, as the command line does; `zenfront sync` can do so later.
        progress: Print the progress.

    Returns:
        The run; its `Run.front` holds the selection.

    Raises:
        UserError: The experiment is wrong; another process works on the run; no architecture is feasible; the record
            cannot be written; the cluster does not answer.
        KeyboardInterrupt: The search was interrupted; the same call goes on.
    """
    if backend not in ("ray", "serial"):
        raise UserError(f"backend= must be 'ray' or 'serial', but got {backend!r}.")
    if backend == "serial" and address:
        raise UserError(f"address= goes with backend='ray', but got address={address!r} and backend='serial'.")
    stages = _stages(config, overrides, runs, address, allow_code, trust_config, tracking, progress, backend)
    with stages.driving(), stages.mirrored() as mirror:
        stages.search(mirror, backend, retry_failed=retry_failed)
        stages.select()
    return Run(stages.folder.path)


def run(
    config: Config,
    *,
    overrides: Sequence[str] = (),
    runs: str | PathLike[str] = "runs",
    address: str | None = None,
    allow_code: bool = False,
    trust_config: bool = False,
    tracking: bool = True,
    progress: bool = True,
) -> Run:
    """Run all stages: search, select, train, report.

    The stages work on Ray. An interrupted run goes on where it ended; a finished one is not repeated.

    Args:
        config: As for `search`.
        overrides: As for `search`.
        runs: As for `search`.
        address: As for `search`.
        allow_code: As for `search`.
        trust_config: As for `search`.
        tracking: As for `search`.
        progress: As for `search`.

    Returns:
        The run; its `Run.trained` holds the accuracies, and the report lies in the run folder.

    Raises:
        UserError: As `search`; the images are missing or not what the task says; no worker could train anything.
        KeyboardInterrupt: The run was interrupted; the same call goes on.
    """
    stages = _stages(config, overrides, runs, address, allow_code, trust_config, tracking, progress)
    with stages.driving():
        stages.run()
    return Run(stages.folder.path)


def _stages(
    config: Config,
    overrides: Sequence[str],
    runs: str | PathLike[str],
    address: str | None,
    allow_code: bool,
    trust_config: bool,
    tracking: bool,
    progress: bool,
    backend: Backend = "ray",
) -> RunStages:
    given = config if isinstance(config, Experiment) else str(config)
    experiment, folder = start_run(given, overrides, Path(runs), address, allow_code, trust_config)
    if backend == "ray" and (experiment.cluster.address or "").startswith("ray://"):
        raise UserError(
            f"{experiment.cluster.address} reaches Ray's client only, and a run is driven from the head node: use "
            "`zenfront search --address ray://...`, or run this on the cluster with address='auto'."
        )
    if progress:
        say = ConsoleView().notify
        return RunStages(experiment, folder, ConsoleView, say, say, tracking).as_begun()
    quiet = _Silent()
    return RunStages(experiment, folder, lambda: nullcontext(quiet), quiet.notify, quiet.notify, tracking).as_begun()


class _Silent:
    """A view that shows nothing."""

    def search(self, progress: SearchProgress) -> None:
        """Show nothing."""

    def trial(self, progress: TrialProgress) -> None:
        """Show nothing."""

    def waiting(self, what: str) -> None:
        """Show nothing."""

    def notify(self, text: str) -> None:
        """Show nothing."""
