"""The work of `correlate` and `regret`: from the options to the written report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from zenfront.pipeline import proxies, tracking
from zenfront.pipeline.analysis.assessment import LEAST
from zenfront.pipeline.analysis.conditions import Condition
from zenfront.pipeline.checks import check, check_data
from zenfront.pipeline.cli.evaluation.asked_experiment import AskedExperiment
from zenfront.pipeline.cli.terminal.console import ConsoleView, print_table
from zenfront.pipeline.cli.terminal.signals import resumable
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation import correlation_report, regret_report
from zenfront.pipeline.evaluation.correlation import correlate as correlate_sample
from zenfront.pipeline.evaluation.regret import RegretSettings, compare_rules, default_rules
from zenfront.pipeline.evaluation.sample import (
    Sample,
    draw,
    evaluation_experiment,
    read_sample,
    score_sample,
    train_sample,
    with_scores_of,
)
from zenfront.pipeline.evaluation.truth_table import TruthTable, check_columns, read_truth
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.references import read_named, with_named
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.stages.search.drawing import draw_architectures
from zenfront.spaces import load as load_space


def parse_columns(texts: Sequence[str]) -> dict[str, str]:
    """Return the columns of tables by the names that they have here.

    Raises:
        UserError: A text does not have the form NAME=COLUMN.
    """
    pairs = [(text, *text.partition("=")) for text in texts]
    if wrong := [text for text, ours, _, theirs in pairs if not ours or not theirs]:
        raise UserError(f"--column: NAME=COLUMN is needed, such as architecture=arch, but got {wrong[0]!r}.")
    return {ours: theirs for _, ours, _, theirs in pairs}


@dataclass(frozen=True)
class Request:
    """The options of the command, as the user gave them."""

    asked: AskedExperiment
    space: str | None
    proxies: str | None
    truth: Path | None
    train: int | None
    accuracy: str | None
    scores: Path | None
    sample: int | None
    column: Sequence[str] = ()
    latency: str | None = None

    @property
    def names(self) -> list[str] | None:
        """Names of the scores; None if not given."""
        return [name.strip() for name in self.proxies.split(",")] if self.proxies else None

    @property
    def columns(self) -> dict[str, str]:
        """Columns of the tables, by the names that they have here.

        Raises:
            UserError: An entry does not have the form NAME=COLUMN.
        """
        return parse_columns(self.column)

    def experiment(self) -> Experiment:
        """Return the experiment with the space and the scores of the options.

        Raises:
            UserError: The options contradict each other, or the experiment fails a check.
        """
        if (self.truth is None) == (self.train is None):
            raise UserError("give either --truth TABLE, with accuracies, or --train N, to train N architectures.")
        if self.train is not None and (self.scores or self.sample or self.accuracy or self.column or self.latency):
            raise UserError("--scores, --sample, --accuracy, --latency and --column go with --truth, not with --train.")
        if self.accuracy and self.latency:
            raise UserError("--accuracy and --latency both name what the scores are compared with: give one of them.")
        for option, count in (("--train", self.train), ("--sample", self.sample)):
            if count is not None and count < LEAST:
                raise UserError(f"{option}: at least {LEAST} architectures are needed, but got {count}.")
        experiment = self.asked.load()
        experiment, [space] = with_named(experiment, "spaces", [self.space or experiment.space])
        experiment, names = with_named(experiment, "proxies", self.names or [])
        changes: dict[str, object] = {"space": space}
        if names and not self.scores:
            directions = {name: proxies.load(name, experiment.code).direction for name in names}
            changes["objectives"] = tuple(Objective(score=name, direction=way) for name, way in directions.items())
        experiment = experiment.model_copy(update=changes)
        check(experiment)
        return experiment

    @contextmanager
    def sampling(self) -> Iterator[tuple[Experiment, RunFolder, Sample]]:
        """Take or read scores and accuracies; the folder is locked until the context ends."""
        asked = self.experiment()
        experiment = evaluation_experiment(asked, asked.score_names())
        folder = RunFolder(self.asked.runs / experiment.name)
        with resumable(), folder.driving(with_scores_of(experiment, folder), score_by_score=True):
            yield experiment, folder, self._sample(asked, experiment, folder)

    def _sample(self, asked: Experiment, experiment: Experiment, folder: RunFolder) -> Sample:
        if self.train is not None:
            truth = _train(asked, experiment, folder, self.train)
        else:
            assert self.truth is not None
            check_columns(self.columns, [path for path in (self.truth, self.scores) if path])
            space = load_space(experiment.space, experiment.code)
            column, is_latency = self.latency or self.accuracy, self.latency is not None
            table = read_truth(self.truth, space, column, self.columns, positive=is_latency)
            truth = draw(table, self.sample, experiment.search.seed)
            if self.scores:
                names = read_named("proxies", self.names)[1] if self.names else None
                sample = read_sample(experiment, self.scores, truth, names, self.columns)
                return replace(sample, is_latency=is_latency)
            typer.echo(f"{experiment.name}: scoring {len(truth.architectures)} architectures")
        with ConsoleView() as view:
            return replace(score_sample(experiment, folder, view, truth), is_latency=self.latency is not None)


def _train(asked: Experiment, experiment: Experiment, folder: RunFolder, count: int) -> TruthTable:
    check_data(experiment)
    architectures = draw_architectures(asked, count)
    typer.echo(f"{experiment.name}: training {len(architectures)} architectures")
    with ConsoleView() as view:
        return train_sample(experiment, folder, view, architectures)


def correlate(request: Request, where: Sequence[str]) -> None:
    """Correlate scores with the accuracy; write, track and print the result.

    Raises:
        UserError: The request is wrong, or there are too few architectures.
    """
    conditions = [Condition.parse(text) for text in where]
    with request.sampling() as (experiment, folder, sample):
        parts = correlate_sample(sample, conditions, experiment.search.seed)
        page = correlation_report.write_report(parts, folder.report, experiment.search.seed)
        facts = {"space": experiment.space, sample.target: sample.truth.source, "n": parts[0].n}
        metrics = {
            f"{kind}.{name}": estimate.value
            for name, e in parts[0].scores.items()
            for kind, estimate in (("tau", e.kendall), ("rho", e.spearman), ("tau_equal_flops", e.equal_cost))
        }
        tracking.log_study(experiment, folder, "correlation", facts, metrics)
    for part in parts:
        typer.echo()
        columns, rows = correlation_report.table_columns(part), correlation_report.table_rows(part)
        print_table(correlation_report.table_title(part), columns, rows)
        for name, reason in part.skipped.items():
            typer.echo(f"{name}: {reason}")
    typer.echo(f"\nPage, figure and table: {page}")


def regret(request: Request, rules: Sequence[str], nets: str, seeds: int, share: float, rounds: int) -> None:
    """Measure the regret of selection rules; write, track and print the result.

    Raises:
        UserError: The request is wrong, or there are too few architectures.
    """
    try:
        budgets = [int(text) for text in nets.split(",")]
    except ValueError as error:
        raise UserError(f"--nets: whole numbers separated by commas are needed, but got {nets!r}.") from error
    if min(budgets) < 1:
        raise UserError(f"--nets: at least 1 network must be trained, but got {min(budgets)}.")
    with request.sampling() as (experiment, folder, sample):
        settings = RegretSettings(budgets, seeds, share, experiment.search.seed, rounds)
        results = compare_rules(sample, list(rules) or default_rules(experiment), settings)
        page = regret_report.write_report(results, sample, settings, folder.report)
        facts = {"space": experiment.space, "accuracy": sample.truth.source, "n": len(sample.truth.accuracy)}
        metrics = {f"regret.{n}.{r.rule}": r.by_budget[n].mean for r in results for n in budgets}
        tracking.log_study(experiment, folder, "regret", facts, metrics)
    typer.echo()
    columns, rows = regret_report.table_columns(settings), regret_report.table_rows(results)
    print_table(regret_report.table_title(sample, settings), columns, rows)
    typer.echo(f"\nPage and table: {page}")
