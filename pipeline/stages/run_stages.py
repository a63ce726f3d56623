"""The stages of a run put together, with its folder, the copy of the folder, the mirror in MLflow and a view."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zenfront.pipeline.checks import are_local, cautions, check, check_data, check_room, read_task
from zenfront.pipeline.distillation.teachers import open_teacher
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import find_config, load_experiment, with_overrides
from zenfront.pipeline.experiment.earlier_versions import continued, note_on
from zenfront.pipeline.experiment.own_places import note_on_places, own_places, with_own_places
from zenfront.pipeline.progress import Backend, View
from zenfront.pipeline.record.copies.backup import Backup, copied_experiment, storage_of
from zenfront.pipeline.record.data_file import keep_overview
from zenfront.pipeline.record.files.json_file import read_document
from zenfront.pipeline.record.run_documents import read_baselines
from zenfront.pipeline.record.run_folder import RunFolder, differences
from zenfront.pipeline.record.score_record import read_whole
from zenfront.pipeline.record.training_result import compared_costs, covers, covers_baselines
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Trained
from zenfront.pipeline.tracking import Mirror


@dataclass(frozen=True)
class RunStages:
    """The stages of one experiment in its folder; call them within `driving`.

    Attributes:
        experiment: The experiment of the run.
        folder: The run folder.
        view: Makes the view of a stage.
        say: Shows a line to the user.
        warn: Shows a warning to the user.
        tracking: Whether the run is mirrored in MLflow.
    """

    experiment: Experiment
    folder: RunFolder
    view: Callable[[], AbstractContextManager[View]]
    say: Callable[[str], None]
    warn: Callable[[str], None]
    tracking: bool = True

    def as_begun(self) -> "RunStages":
        """Return the stages with what an earlier version did that began the run, and say so if it differs."""
        stored = self.folder.stored_experiment() if self.folder.computed().scores else self._stored_copy()
        experiment = continued(self.experiment, stored) if stored else self.experiment
        notes = (note_on(self.experiment, experiment), note_on_places(experiment, self.folder.places_before()))
        for note in filter(None, (self._note_on_name(), *notes)):
            self._say(note)
        return replace(self, experiment=experiment)

    @contextmanager
    def driving(self) -> Iterator[None]:
        """Lock the folder and back it up for the time of a block.

        Raises:
            UserError: Another process works on the folder; it belongs to another experiment; it would not outlive a
                Ray job.
        """
        self._check_folder_stays()
        storage = storage_of(self.experiment, self.folder)
        copied = Backup(self.folder, self.experiment, storage, self.say) if storage else nullcontext()
        before = self.folder.experiment() if self.folder.computed().scores else self.experiment
        with self.folder.driving(self.experiment), copied:
            if changed := list(differences(before.identity(), self.experiment.identity())):
                self._say(f"going on with other settings: {', '.join(changed)}")
            yield

    def mirrored(self) -> AbstractContextManager[Mirror | None]:
        """Return the mirror of the run in MLflow, a context manager; without `tracking`, none."""
        return Mirror(self.folder, self.experiment, self.say) if self.tracking else nullcontext()

    def run(self) -> None:
        """Run what is left of all stages, mirrored. What training needs is checked before the search."""
        searched, trained = self._searched, self._trained
        if not (searched and trained):
            self._check_training()
        with self.mirrored() as mirror, nullcontext() if searched else self._cluster():
            if not searched:
                self.search(mirror)
            self.select()
            if not self._trained:
                self.train(mirror)
            if not (searched and trained and self._reported):
                self.report()

    @contextmanager
    def _cluster(self) -> Iterator[None]:
        """Start Ray once for search and training, and require room for the workers of both."""
        from zenfront.pipeline.cluster import session, workers

        resources = self.experiment.resources
        with ExitStack() as stack:
            with self.view() as view:
                view.waiting("Ray")
                stack.enter_context(session.cluster(self.experiment))
            workers.plan_workers(resources.search, "search", resources.device)
            train = resources.train
            workers.plan_workers(train, "train", resources.device, processes=train.devices)
            yield

    def search(self, mirror: Mirror | None, backend: Backend = "ray", *, retry_failed: bool = False) -> None:
        """Run stage 1; with `retry_failed`, score again what is recorded as failed."""
        from zenfront.pipeline.stages.search.stage import search

        self._warn_of_data()
        for caution in cautions(self.experiment):
            self.warn(f"{self.experiment.name}: {caution}")
        self._say(f"searching {self.experiment.space} for {self.experiment.search.evaluations} architectures")
        with self.view() as view:
            search(self.experiment, self.folder, view, backend, retry_failed=retry_failed)
        _poke(mirror)

    def select(self) -> None:
        """Run stage 2."""
        from zenfront.pipeline.stages.select import select, shortfall

        front = select(self.experiment, self.folder)
        chosen = self.experiment.select
        if chosen.rounds == 1 and (short := shortfall(front, chosen.k)):
            self._say(short)

    def train(self, mirror: Mirror | None) -> None:
        """Run stage 3."""
        from zenfront.pipeline.stages.rounds.stage import train_in_rounds
        from zenfront.pipeline.stages.train.stage import train

        self._check_training()
        train_config = self.experiment.train
        compared = " and ".join([train_config.compared.words, *compared_costs(self.experiment)])
        self._say(
            f"training the selected architectures, up to {train_config.epochs} epochs each; compared by {compared}"
        )
        with self.view() as view:
            (train_in_rounds if self.experiment.select.rounds > 1 else train)(self.experiment, self.folder, view)
        _poke(mirror)

    def report(self) -> None:
        """Run stage 4."""
        from zenfront.pipeline.stages.report.stage import report

        report(self.folder)

    @property
    def finished(self) -> bool:
        """Whether all stages are done.

        Raises:
            UserError: The record is damaged, or a part of it is missing.
        """
        return self._searched and self._trained and self._reported

    @property
    def _searched(self) -> bool:
        """Whether nothing is left to score; a space that is smaller counts as searched once networks are trained.

        With several rounds that is known once networks are trained, since samples of the space are scored as well.
        """
        if self.experiment.select.rounds > 1 and not self._trained:
            return False
        count = len(read_whole(self.folder, self.experiment))
        front = read_document(self.folder.front, Front.from_row)
        return count >= self.experiment.search.evaluations or (
            front is not None and front.evaluations == count > 0 and self._trained
        )

    @property
    def _trained(self) -> bool:
        """Whether every selected network has its outcomes."""
        front = read_document(self.folder.front, Front.from_row)
        trained = read_document(self.folder.trained, Trained.from_row)
        if not (front and trained and covers(trained.trials, front.selected, self.experiment.train.seeds)):
            return False
        known = read_baselines(self.folder, self.experiment)
        return covers_baselines(self.experiment, known, front.selected)

    @property
    def _reported(self) -> bool:
        return (self.folder.report / "index.html").exists()

    def _check_training(self) -> None:
        classes = self._check_data()
        check_room(self.experiment, self.folder.path.parent)
        open_teacher(self.experiment, self.folder.path.parent, classes)

    def _check_data(self) -> tuple[str, ...]:
        """Look at the data, keep what they hold with the run, tell the user what is to be known; return the classes."""
        found = check_data(self.experiment)
        if found and keep_overview(self.folder, found):
            for note in found.notes:
                self._say(f"data: {note}")
        return found.classes if found else ()

    def _warn_of_data(self) -> None:
        """Tell the user of images that training will refuse: the search may be all that is wanted."""
        try:
            if are_local(self.experiment.train.data):
                self._check_data()
        except UserError as error:
            self.warn(f"{self.experiment.name}: training will need this, the search does not: {error}")

    def _check_folder_stays(self) -> None:
        """Require a folder that outlives a Ray job: Ray deletes the copy of the working directory with the job."""
        if "_ray_pkg_" in str(self.folder.path.resolve()) and not self.experiment.cluster.storage:
            raise UserError(
                f"the run folder {self.folder.path} is in the working directory of a Ray job, which is deleted with "
                "the job. Give an absolute path on a disk that stays (--runs DIR), or --set cluster.storage=..."
            )

    def _note_on_name(self) -> str | None:
        """Return a line for the user if the folder was renamed or copied, which does not change what it holds."""
        if self.folder.path.name == self.experiment.name:
            return None
        return f"this run is in the folder {self.folder.path}, which has another name; that folder is used."

    def _stored_copy(self) -> dict[str, Any] | None:
        storage = storage_of(self.experiment, self.folder)
        try:
            return copied_experiment(self.folder, storage) if storage else None
        except OSError:  # the backup tells the user
            return None

    def _say(self, text: str) -> None:
        self.say(f"{self.experiment.name}: {text}")


def start_run(
    config: str | Experiment,
    overrides: Sequence[str],
    runs: Path,
    address: str | None = None,
    allow_code: bool = False,
    trust_config: bool = False,
) -> tuple[Experiment, RunFolder]:
    """Return experiment and folder of a run that may be new: a file gives the experiment, or else a run folder.

    The places of an `Experiment` are those of the program that made it, and count.

    Raises:
        UserError: There is neither, or the experiment is wrong.
    """
    places = own_places(address)
    if isinstance(config, Experiment):
        experiment = with_own_places(config, places)
        return _checked(with_overrides(experiment, overrides, allow_code=allow_code, read_task=read_task), runs)
    if not find_config(Path(config)) and find_run(config, runs):
        return resume_run(config, overrides, runs, address, allow_code)
    how: dict[str, Any] = {"allow_code": allow_code, "trust_config": trust_config, "read_task": read_task}
    return _checked(load_experiment(config, overrides, places=places, **how), runs)


def resume_run(
    run: str,
    overrides: Sequence[str],
    runs: Path,
    address: str | None = None,
    allow_code: bool = False,
    trust_config: bool = False,
) -> tuple[Experiment, RunFolder]:
    """Return experiment and folder of a run that exists: its folder gives the experiment, unless `run` names a file.

    Raises:
        UserError: There is no such run, or the experiment is wrong.
    """
    folder = find_run(run, runs)
    if folder is None:
        return start_run(run, overrides, runs, address, allow_code, trust_config)
    stored = with_own_places(folder.experiment(), own_places(address))
    experiment = with_overrides(stored, overrides, allow_code=allow_code, read_task=read_task)
    if experiment.name != stored.name:  # --set name=...: a run of its own
        return _checked(experiment, folder.path.parent)
    check(experiment)
    return experiment, folder


def find_run(run: str, runs: Path) -> RunFolder | None:
    """Return the run of that name or folder, if there is one."""
    for path in (runs / run, Path(run)):
        if RunFolder(path).config.is_file():
            return RunFolder(path if path.name not in ("", "..") else path.resolve())
    return None


def _checked(experiment: Experiment, runs: Path) -> tuple[Experiment, RunFolder]:
    check(experiment)
    return experiment, RunFolder(runs / experiment.name)


def _poke(mirror: Mirror | None) -> None:
    if mirror:
        mirror.poke()
