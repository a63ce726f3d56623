"""The work of `supernet`: from the options to the written report."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import typer

from zenfront.pipeline import proxies, tracking
from zenfront.pipeline.checks import check, check_data, reads_images
from zenfront.pipeline.cli.evaluation.asked_experiment import AskedExperiment
from zenfront.pipeline.cli.evaluation.evaluate import parse_columns
from zenfront.pipeline.cli.terminal.console import ConsoleView, print_table
from zenfront.pipeline.cli.terminal.signals import resumable
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.sample import evaluation_experiment, with_scores_of
from zenfront.pipeline.evaluation.truth_table import check_columns
from zenfront.pipeline.evaluation.weight_sharing.beside import NOTHING, recorded_beside, score_beside
from zenfront.pipeline.evaluation.weight_sharing.ground_truth import GroundTruth, read_ground_truth
from zenfront.pipeline.evaluation.weight_sharing.instances import Arm
from zenfront.pipeline.evaluation.weight_sharing.recorded_steps import read_steps
from zenfront.pipeline.evaluation.weight_sharing.report import Study, metrics, tracked_instances, write_report
from zenfront.pipeline.evaluation.weight_sharing.study import (
    measure_study,
    recorded_arms,
    require_comparison,
    train_arms,
)
from zenfront.pipeline.evaluation.weight_sharing.wording import measure_table, notes
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.references import with_named
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.progress import Backend
from zenfront.pipeline.proxies.supernet_accuracy import PROXY
from zenfront.pipeline.record.changes import check_changes
from zenfront.pipeline.record.copies.backup import Backup, storage_of
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.stages.supernet.plan import StudyPlan, require_recipe
from zenfront.pipeline.training import data
from zenfront.pipeline.training.data import Images


@dataclass(frozen=True)
class Request:
    """The options of the command, as the user gave them."""

    asked: AskedExperiment
    space: str | None
    truth: Path | None
    accuracy: str | None
    column: Sequence[str]
    steps: str | None
    proxies: str | None
    serial: bool
    recorded: bool

    @property
    def backend(self) -> Backend:
        """Where supernets are trained and scores are taken."""
        return "serial" if self.serial else "ray"

    def check(self) -> None:
        """Check that the options belong together.

        Raises:
            UserError: They do not.
        """
        given = {"--accuracy": self.accuracy, "--column": self.column, "--steps": self.steps}
        for option, value in {**given, "--proxies": self.proxies}.items():
            if value and self.truth is None:
                raise UserError(f"{option} needs a ground truth: give --truth TABLE.")
        if self.recorded and self.steps:
            raise UserError("--recorded reports what Zenfront trained, and --steps what a table has: give one of them.")

    def experiment(self) -> Experiment:
        """Return the experiment of the study, with the space and the scores of the options.

        Raises:
            UserError: It fails a check.
        """
        experiment = self.asked.load()
        experiment, [space] = with_named(experiment, "spaces", [self.space or experiment.space])
        names = [name.strip() for name in self.proxies.split(",")] if self.proxies else []
        experiment, names = with_named(experiment, "proxies", names)
        ways = {name: proxies.load(name, experiment.code).direction for name in names}
        objectives = [Objective(name, way) for name, way in ways.items()] or experiment.objectives
        kept = [each for each in objectives if each.score != PROXY.name]  # the study measures what that is worth
        changes = {
            "space": space,
            "objectives": tuple(kept) or (Objective("flops", "minimise"),),
            "constraints": tuple(each for each in experiment.constraints if each.score != PROXY.name),
        }
        asked = experiment.model_copy(update=changes)
        check(asked)
        scores = asked.score_names() if names or not self.steps else []
        name = f"{asked.name}.{'supernet-steps' if self.steps else 'supernet'}"
        study = evaluation_experiment(asked, scores).model_copy(update={"name": name})
        if not self.steps:
            require_recipe(study)
        if not self.steps or reads_images(study):
            check_data(study)
        return study

    def ground_truth(self, plan: StudyPlan) -> GroundTruth | None:
        """Return the ground truth, if there is a table.

        Raises:
            UserError: The table cannot be read, or lacks architectures.
        """
        if self.truth is None:
            return None
        check_columns(self.columns, [self.truth])
        return read_ground_truth(self.truth, plan.space, plan.architectures, self.accuracy, self.columns)

    def given_arms(self, plan: StudyPlan) -> list[Arm] | None:
        """Return the steps that the table has, if they take the place of a training.

        Raises:
            UserError: The table lacks steps.
        """
        if not self.steps or not self.truth:
            return None
        return [read_steps(self.truth, plan.space, plan.architectures, self.steps, plan.config.last, self.columns)]

    @property
    def columns(self) -> dict[str, str]:
        """Columns of the table by the names that they have here."""
        return parse_columns(self.column)


def supernet(request: Request) -> None:
    """Run a study of weight sharing; write, track and print the result.

    Raises:
        UserError: The request is wrong, or nothing can be measured.
    """
    request.check()
    experiment = request.experiment()
    plan = StudyPlan(experiment)
    truth, given = request.ground_truth(plan), request.given_arms(plan)
    require_comparison(plan, truth)
    folder = RunFolder(request.asked.runs / experiment.name)
    images = None if given else _images(plan)
    if request.recorded and images:
        study = _recorded(plan, images, folder, truth)
    else:
        driven = with_scores_of(experiment, folder)
        with resumable(), folder.driving(driven, score_by_score=True), _copied(folder, driven):
            study = _studied(plan, images, folder, truth, given, request.backend)
    page = write_report(study, folder.report)
    facts = {"space": experiment.space, "settings": list(plan.settings), "instances": plan.config.instances}
    tracking.log_study(experiment, folder, "supernet", facts, metrics(study.measures), tracked_instances(study))
    _show(study)
    typer.echo(f"\nPage, figures and tables: {page}")


def _copied(folder: RunFolder, experiment: Experiment) -> AbstractContextManager[object]:
    """Keep a copy of the folder in the storage of the experiment, if there is one, for the time of a block."""
    storage = storage_of(experiment, folder)
    return Backup(folder, experiment, storage, typer.echo) if storage else nullcontext()


def _images(plan: StudyPlan) -> Images:
    """Load the images, and check that the study fits them."""
    experiment = plan.experiment
    images = data.load(experiment.train.data, experiment.task, experiment.search.seed)
    plan.check(images)
    return images


def _studied(
    plan: StudyPlan,
    images: Images | None,
    folder: RunFolder,
    truth: GroundTruth | None,
    given: list[Arm] | None,
    backend: Backend,
) -> Study:
    """Train what is left, unless it is given, and take the scores."""
    arms, beside = given or [], NOTHING
    if images:
        typer.echo(f"{folder.path.name}: {len(plan.parts)} trainings over {len(plan.architectures)} architectures")
        with ConsoleView() as view:
            arms = train_arms(plan, images, folder, view, backend)
    if truth:
        with ConsoleView() as view:
            beside = score_beside(plan.experiment, folder, view, plan.architectures, truth, backend)
    return measure_study(plan, arms, truth, beside)


def _recorded(plan: StudyPlan, images: Images, folder: RunFolder, truth: GroundTruth | None) -> Study:
    """Report what is recorded, also while another process goes on with it."""
    before = folder.experiment()
    asked = with_scores_of(plan.experiment, folder)
    check_changes(folder.path, before, asked, folder.computed(), score_by_score=True)
    arms = recorded_arms(plan, images, folder)
    beside = recorded_beside(asked, folder, plan.architectures, truth) if truth else NOTHING
    return measure_study(plan, arms, truth, beside)


def _show(study: Study) -> None:
    typer.echo()
    for line in notes(study.arms, study.truth is not None, study.missing):
        typer.echo(f"{line}.")
    print_table(study.title, *measure_table(study.measures, study.k))
