"""The work of `supernet`: from the options to the written report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from zenfront.pipeline import proxies, tracking
from zenfront.pipeline.checks import check, check_data, read_task
from zenfront.pipeline.cli.evaluation.evaluate import parse_columns
from zenfront.pipeline.cli.terminal.console import ConsoleView, print_table
from zenfront.pipeline.cli.terminal.signals import resumable
from zenfront.pipeline.evaluation.sample import evaluation_experiment, with_scores_of
from zenfront.pipeline.evaluation.weight_sharing.ground_truth import GroundTruth, read_ground_truth
from zenfront.pipeline.evaluation.weight_sharing.report import Study, metrics, write_report
from zenfront.pipeline.evaluation.weight_sharing.study import run_study
from zenfront.pipeline.evaluation.weight_sharing.wording import measure_table, notes
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.experiment.own_places import own_places
from zenfront.pipeline.experiment.references import with_named
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.progress import Backend
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.stages.supernet.plan import StudyPlan


@dataclass(frozen=True)
class Request:
    """The options of the command, as the user gave them."""

    config: str
    overrides: Sequence[str]
    runs: Path
    address: str | None
    allow_code: bool
    trust_config: bool
    space: str | None
    truth: Path | None
    accuracy: str | None
    column: Sequence[str]
    proxies: str | None
    serial: bool
    recorded: bool

    def experiment(self) -> Experiment:
        """Return the experiment with the space and the scores of the options.

        Raises:
            UserError: It fails a check.
        """
        experiment = load_experiment(
            self.config,
            self.overrides,
            allow_code=self.allow_code,
            trust_config=self.trust_config,
            places=own_places(self.address),
            read_task=read_task,
        )
        experiment, [space] = with_named(experiment, "spaces", [self.space or experiment.space])
        names = [name.strip() for name in self.proxies.split(",")] if self.proxies else []
        experiment, names = with_named(experiment, "proxies", names)
        changes: dict[str, object] = {"space": space}
        if names:
            ways = {name: proxies.load(name, experiment.code).direction for name in names}
            changes["objectives"] = tuple(Objective(score=name, direction=way) for name, way in ways.items())
        experiment = experiment.model_copy(update=changes)
        check(experiment)
        check_data(experiment)
        return experiment

    def ground_truth(self, plan: StudyPlan) -> GroundTruth | None:
        """Return the ground truth, if there is a table."""
        if self.truth is None:
            return None
        columns = parse_columns(self.column)
        return read_ground_truth(self.truth, plan.space, plan.architectures, self.accuracy, columns)


def supernet(request: Request) -> None:
    """Run a study of weight sharing; write, track and print the result.

    Raises:
        UserError: The request is wrong, or nothing can be measured.
    """
    asked = request.experiment()
    study_of = evaluation_experiment(asked, asked.score_names())
    experiment = study_of.model_copy(update={"name": f"{asked.name}.supernet"})
    plan = StudyPlan(experiment)
    truth = request.ground_truth(plan)
    folder = RunFolder(request.runs / experiment.name)
    backend: Backend = "serial" if request.serial else "ray"
    with resumable(), folder.driving(with_scores_of(experiment, folder), score_by_score=True):
        typer.echo(f"{experiment.name}: {len(plan.parts)} trainings over {len(plan.architectures)} architectures")
        study = run_study(plan, folder, ConsoleView, truth, backend=backend, recorded=request.recorded)
        page = write_report(study, folder.report)
        facts = {"space": experiment.space, "settings": list(plan.settings), "instances": plan.config.instances}
        tracking.log_study(experiment, folder, "supernet", facts, metrics(study.measures))
    _show(study)
    typer.echo(f"\nPage, figures and tables: {page}")


def _show(study: Study) -> None:
    typer.echo()
    for line in notes(study.arms, study.truth is not None):
        typer.echo(f"{line}.")
    print_table(study.title, *measure_table(study.measures, study.k))
