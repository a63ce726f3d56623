"""The work of `edf`: from the options to the written report."""

import hashlib
import re
from collections.abc import Sequence

import typer

from zenfront.pipeline import tracking
from zenfront.pipeline.cli.evaluation.edf_request import Request
from zenfront.pipeline.cli.terminal.console import ConsoleView, print_table
from zenfront.pipeline.cli.terminal.signals import resumable
from zenfront.pipeline.evaluation.design_spaces import wording
from zenfront.pipeline.evaluation.design_spaces.comparison import Comparison, compare, make_comparable
from zenfront.pipeline.evaluation.design_spaces.error_table import read_samples, read_sweep
from zenfront.pipeline.evaluation.design_spaces.report import Study, metrics, order_tables, write_report
from zenfront.pipeline.evaluation.design_spaces.sampling import Drawing, DrawnSpace, draw_space
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.spaces import load as load_space

LONGEST = 60
"""Characters of the names of the samples in the name of a folder."""


def edf(request: Request) -> None:
    """Compare samples; write, track and print the result.

    Raises:
        UserError: The request is wrong, or the samples cannot be compared.
    """
    request.check()
    experiment = request.experiment()
    with resumable():
        study = _from_files(request, experiment) if request.from_files else _from_spaces(request, experiment)
    names = [one.sample.name for one in study.main.distributions]
    folder = RunFolder(request.asked.runs / f"{experiment.name}.edf.{_folder_name(names)}")
    page = write_report(study, folder.report)
    facts = {"samples": names, "measure": study.main.measure, "complexities": study.main.settings.complexities}
    tracking.log_study(experiment, folder, "edf", facts, metrics(study))
    _show(study)
    typer.echo(f"\nPage, figures and table: {page}")


def _from_files(request: Request, experiment: Experiment) -> Study:
    space = load_space(request.spaces[0]) if request.spaces else None
    samples = [sample for path in request.tables for sample in read_samples(path, request.columns, space)]
    samples += [read_sweep(path) for path in request.sweeps]
    return Study(compare(samples, request.settings(samples, experiment.search.seed), "error [%]"))


def _from_spaces(request: Request, experiment: Experiment) -> Study:
    given = request.experiments()
    varied = {label: request.experiments(overrides) for label, overrides in request.varied().items()}
    seed = experiment.search.seed
    drawn = _draw(given, request.drawing, request, seed)
    others = {label: _draw(each, request.drawing.without_scores(), request, seed) for label, each in varied.items()}
    found: dict[str, Comparison] = {}
    if request.train:
        found["test error"] = _train(drawn, request, seed)
    for name in request.score_names:
        scored = [space.scores(name) for space in drawn]
        label = f"{name}, sign changed so that lower is better"
        found[name] = compare(scored, request.settings(scored, seed), label)
    settings = {label: _train(spaces, request, seed) for label, spaces in others.items()}
    main = found.pop(next(iter(found)))
    return Study(main, not request.train, found, settings)


def _draw(experiments: Sequence[Experiment], drawing: Drawing, request: Request, seed: int) -> list[DrawnSpace]:
    """Draw and score; whether the spaces can be compared is known before any is trained."""
    drawn = []
    for each in experiments:
        typer.echo(f"{each.name}: {drawing.trained} architectures to train, {drawing.scored} to score")
        with ConsoleView() as view:
            drawn.append(draw_space(each, drawing, request.asked.runs, view))
        if (found := drawn[-1].size) < drawing.count:
            typer.echo(
                f"{each.space} has fewer than {drawing.count:,} different architectures within the limits: "
                f"all {found:,} that random draws find are taken"
            )
    if drawing.trained:
        costs = [space.costs() for space in drawn]
        make_comparable(costs, request.settings(costs, seed))
    return drawn


def _train(drawn: Sequence[DrawnSpace], request: Request, seed: int) -> Comparison:
    trained = []
    for space in drawn:
        typer.echo(f"{space.study.name}: training")
        with ConsoleView() as view:
            trained.append(space.train(view))
    return compare(trained, request.settings(trained, seed))


def _folder_name(samples: Sequence[str]) -> str:
    """Return the names of the samples as a part of a folder's name; a long one ends in a hash of all."""
    name = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(samples)).strip("-.")
    if len(name) <= LONGEST:
        return name
    return f"{name[:LONGEST]}-{hashlib.sha256('/'.join(samples).encode()).hexdigest()[:8]}"


def _show(study: Study) -> None:
    main = study.main
    typer.echo()
    for line in wording.summary(main, score=study.is_score):
        typer.echo(line)
    typer.echo()
    print_table(f"Samples; {main.measure}", *wording.sample_table(main))
    print_table("Differences", *wording.pair_table(main))
    for title, table in order_tables(study).items():
        print_table(title, *table)
