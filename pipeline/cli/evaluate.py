"""`correlate` and `regret`: experiment, tables, folder and view put together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from zenfront.pipeline import proxies, tracking
from zenfront.pipeline.analysis.conditions import Condition
from zenfront.pipeline.checks import check, check_data
from zenfront.pipeline.cli.console import ConsoleView, print_table
from zenfront.pipeline.cli.signals import resumable
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation import correlation_report
from zenfront.pipeline.evaluation import regret as regret_stage
from zenfront.pipeline.evaluation.correlation import correlate as correlate_sample
from zenfront.pipeline.evaluation.sample import Sample, drawn, from_table, random_architectures, scored, study, trained
from zenfront.pipeline.evaluation.truth_table import read_truth
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.spaces import load as load_space


@dataclass(frozen=True)
class Request:
    """What the user has asked for, as the options say it."""

    config: str
    overrides: Sequence[str]
    runs: Path
    address: str | None
    space: str | None
    proxies: str | None
    truth: Path | None
    train: int | None
    accuracy: str | None
    scores: Path | None
    sample: int | None

    @property
    def names(self) -> list[str] | None:
        """Of the scores."""
        return [name.strip() for name in self.proxies.split(",")] if self.proxies else None

    def experiment(self) -> Experiment:
        """The experiment with the space and the scores that were asked for.

        Raises:
            UserError: The options contradict each other, or the experiment makes no sense.
        """
        if (self.truth is None) == (self.train is None):
            raise UserError("give either --truth TABLE, with accuracies, or --train N, to train N architectures.")
        if self.train is not None and (self.scores or self.sample or self.accuracy):
            raise UserError("--scores, --sample and --accuracy go with --truth, not with --train.")
        experiment = load_experiment(self.config, self.overrides)
        changes: dict[str, object] = {"space": self.space or experiment.space}
        if self.names and not self.scores:
            wanted = (Objective(score=n, direction=proxies.load(n).direction) for n in dict.fromkeys(self.names))
            changes["objectives"] = tuple(wanted)
        if self.address:
            changes["cluster"] = experiment.cluster.model_copy(update={"address": self.address})
        experiment = experiment.model_copy(update=changes)
        check(experiment)
        return experiment

    @contextmanager
    def gathered(self) -> Iterator[tuple[Experiment, RunFolder, Sample]]:
        """Scores and accuracies, taken or read, while the folder of the study is held."""
        asked = self.experiment()
        experiment = study(asked, asked.score_names())
        folder = RunFolder(self.runs / experiment.name)
        with resumable(), folder.driving(experiment):
            yield experiment, folder, self._sample(asked, experiment, folder)

    def _sample(self, asked: Experiment, experiment: Experiment, folder: RunFolder) -> Sample:
        if self.truth:
            known = read_truth(self.truth, load_space(experiment.space), self.accuracy)
            if self.scores:
                return from_table(
                    experiment, self.scores, drawn(known, self.sample, experiment.search.seed), self.names
                )
            known = drawn(known, self.sample, experiment.search.seed)
            typer.echo(f"{experiment.name}: scoring {len(known.architectures)} architectures")
        else:
            check_data(experiment)
            architectures = random_architectures(asked, self.train or 0)
            typer.echo(f"{experiment.name}: training {len(architectures)} architectures")
            with ConsoleView() as view:
                known = trained(experiment, folder, view, architectures)
        with ConsoleView() as view:
            return scored(experiment, folder, view, known)


def correlate(request: Request, where: Sequence[str]) -> None:
    """Does a score tell the accuracy?

    Raises:
        UserError: The request is wrong, or there are too few architectures.
    """
    conditions = [Condition.parse(text) for text in where]
    with request.gathered() as (experiment, folder, sample):
        parts = correlate_sample(sample, conditions, experiment.search.seed)
        page = correlation_report.write(parts, folder.report, experiment.search.seed)
        facts = {"space": experiment.space, "accuracy": sample.known.source, "n": parts[0].n}
        metrics = {
            f"{kind}.{name}": estimate.value
            for name, e in parts[0].scores.items()
            for kind, estimate in (("tau", e.kendall), ("rho", e.spearman), ("tau_equal_flops", e.equal_cost))
        }
        tracking.log_study(experiment, folder, "correlation", facts, metrics)
    for part in parts:
        typer.echo()
        print_table(correlation_report.title(part), correlation_report.COLUMNS, correlation_report.rows(part))
        for name, reason in part.skipped.items():
            typer.echo(f"{name}: {reason}")
    typer.echo(f"\nPage, figure and table: {page}")


def regret(request: Request, rules: Sequence[str], nets: str, seeds: int, share: float) -> None:
    """What does a selection rule lose?

    Raises:
        UserError: The request is wrong, or there are too few architectures.
    """
    try:
        budgets = [int(text) for text in nets.split(",")]
    except ValueError as error:
        raise UserError(f"--nets: whole numbers separated by commas are needed, but got {nets!r}.") from error
    if min(budgets) < 1:
        raise UserError(f"--nets: at least 1 network must be trained, but got {min(budgets)}.")
    with request.gathered() as (experiment, folder, sample):
        wanted = list(rules) or regret_stage.usual(experiment)
        study_ = regret_stage.Study(budgets, seeds, share, experiment.search.seed)
        results = regret_stage.regret(sample, wanted, study_)
        page = regret_stage.write(results, sample, study_, folder.report)
        facts = {"space": experiment.space, "accuracy": sample.known.source, "n": len(sample.known.accuracy)}
        metrics = {f"regret.{n}.{r.rule}": r.means[n].mean for r in results for n in budgets}
        tracking.log_study(experiment, folder, "regret", facts, metrics)
    typer.echo()
    print_table(regret_stage.title(sample, study_), regret_stage.columns(study_), regret_stage.rows(results))
    typer.echo(f"\nPage and table: {page}")
