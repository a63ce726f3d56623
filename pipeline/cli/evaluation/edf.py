"""The work of `edf`: from the options to the written report."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from zenfront.pipeline import tracking
from zenfront.pipeline.checks import check, check_data, read_task
from zenfront.pipeline.cli.terminal.console import ConsoleView, print_table
from zenfront.pipeline.cli.terminal.signals import resumable
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.design_spaces import wording
from zenfront.pipeline.evaluation.design_spaces.comparison import Comparison, compare
from zenfront.pipeline.evaluation.design_spaces.error_table import Columns, read_samples, read_sweep
from zenfront.pipeline.evaluation.design_spaces.model_sample import ModelSample
from zenfront.pipeline.evaluation.design_spaces.report import Study, metrics, write_report
from zenfront.pipeline.evaluation.design_spaces.sampling import PRESETS, Drawing, SpaceSample, take_sample
from zenfront.pipeline.evaluation.design_spaces.settings import Settings
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment, with_overrides
from zenfront.pipeline.experiment.own_places import own_places
from zenfront.pipeline.experiment.references import with_named
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.spaces import load as load_space


@dataclass(frozen=True)
class Request:
    """The options of the command, as the user gave them."""

    config: str
    overrides: Sequence[str]
    runs: Path
    address: str | None
    allow_code: bool
    trust_config: bool
    spaces: Sequence[str]
    train: int
    sample: int
    scores: str | None
    vary: Sequence[str]
    tables: Sequence[Path]
    sweeps: Sequence[Path]
    columns: Columns
    complexity: str | None
    limits: Mapping[str, tuple[float, float]]
    bins: int | None
    epsilon: float | None
    resamples: int

    @property
    def score_names(self) -> list[str]:
        """Names of the scores that take the place of errors."""
        return [name.strip() for name in self.scores.split(",")] if self.scores else []

    def experiment(self) -> Experiment:
        """Return the experiment that names the store, and the task and the recipe of what is trained.

        Raises:
            UserError: It fails a check.
        """
        experiment = load_experiment(
            self.config,
            self.overrides,
            allow_code=self.allow_code,
            trust_config=self.trust_config,
            read_task=read_task,
            places=own_places(self.address),
        )
        check(experiment)
        return experiment

    def settings(self, samples: Sequence[ModelSample], seed: int) -> Settings:
        """Return the settings of a comparison of these samples."""
        return Settings(
            self._complexities(samples), self.limits, self.bins, self.epsilon, resamples=self.resamples, seed=seed
        )

    def _complexities(self, samples: Sequence[ModelSample]) -> list[str]:
        if self.complexity is None:
            known = (n for n in ("params", "flops") if all(n in sample.complexities for sample in samples))
            return list(itertools.islice(known, 1))
        names = [] if self.complexity == "none" else [name.strip() for name in self.complexity.split(",")]
        if len(names) > 2:
            raise UserError(f"--complexity: at most two names, or none, but got {self.complexity!r}.")
        return names


def parse_limits(
    preset: str | None, given: Mapping[str, str | None], more: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Return limits of complexities by name.

    Args:
        preset: Name of limits that are known.
        given: ``LOW:HIGH`` by name; None: no limit.
        more: Texts ``NAME=LOW:HIGH``.

    Raises:
        UserError: There is no such preset, or a text has another form.
    """
    if preset is not None and preset not in PRESETS:
        raise UserError(f"--preset: there is no preset {preset!r}. Known: {', '.join(PRESETS)}.")
    limits = dict(PRESETS[preset]) if preset else {}
    for name, text in given.items():
        if text is not None:
            limits[name] = _limits(f"--{name}", text)
    for named in more:
        name, _, text = named.partition("=")
        limits[name.strip()] = _limits("--limit NAME=LOW:HIGH", text)
    return limits


def _limits(option: str, text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError as error:
        raise UserError(
            f"{option}: two numbers LOW:HIGH are needed, such as 0.02e6:0.856e6, but got {text!r}."
        ) from error
    if not 0 <= low < high < float("inf"):
        raise UserError(f"{option}: `0 <= low < high` must hold, but got {text!r}.")
    return low, high


def edf(request: Request) -> None:
    """Compare samples; write, track and print the result.

    Raises:
        UserError: The request is wrong, or the samples cannot be compared.
    """
    experiment = request.experiment()
    from_files = bool(request.tables or request.sweeps)
    if from_files == bool(request.train or request.sample):
        raise UserError(
            "give tables of errors (--table FILE, --nds FILE), or spaces (--space NAME, twice or more) with --train N "
            "or with --sample N and --scores NAMES."
        )
    folder = RunFolder(request.runs / f"{experiment.name}.edf")
    with resumable():
        study = _from_files(request, experiment) if from_files else _from_spaces(request, experiment)
    page = write_report(study, folder.report)
    facts = {"samples": [one.sample.name for one in study.main.distributions], "measure": study.main.measure}
    tracking.log_study(experiment, folder, "edf", facts, metrics(study))
    _show(study)
    typer.echo(f"\nPage, figures and table: {page}")


def _from_files(request: Request, experiment: Experiment) -> Study:
    if len(request.spaces) > 1:
        raise UserError(f"--space: one space goes with --table, but got {', '.join(request.spaces)}.")
    space = load_space(request.spaces[0]) if request.spaces else None
    samples = [sample for path in request.tables for sample in read_samples(path, request.columns, space)]
    samples += [read_sweep(path) for path in request.sweeps]
    return Study(compare(samples, request.settings(samples, experiment.search.seed), "error [%]"))


def _from_spaces(request: Request, experiment: Experiment) -> Study:
    if len(request.spaces) < 2:
        raise UserError(
            f"two or more spaces are needed, but got {', '.join(request.spaces) or 'none'}: --space A --space B."
        )
    if bool(request.sample) != bool(request.scores) and not request.train:
        raise UserError("--sample N goes with --scores NAMES.")
    count = request.sample or (request.train if request.scores else 0)
    drawing = Drawing(request.train, count, request.score_names, request.limits)
    main, scores = _compared(request, _take(request, experiment, drawing, ""), experiment.search.seed)
    settings = {}
    for label, overrides in _settings(request.vary):
        varied = with_overrides(experiment, overrides, allow_code=request.allow_code)
        taken = _take(request, varied, Drawing(request.train, 0, [], request.limits), f".{_file_name(label)}")
        settings[label] = _compared(request, taken, experiment.search.seed)[0]
    return Study(main, not request.train, scores, settings)


def _take(request: Request, experiment: Experiment, drawing: Drawing, suffix: str) -> list[SpaceSample]:
    taken = []
    for given in request.spaces:
        named, [space] = with_named(experiment, "spaces", [given])
        named, _ = with_named(named, "proxies", request.score_names)
        each = named.model_copy(update={"space": space, "name": f"{experiment.name}.edf.{space}{suffix}"})
        check(each)
        if drawing.trained:
            check_data(each)
        typer.echo(f"{each.name}: {drawing.trained} architectures to train, {drawing.scored} to score")
        taken.append(take_sample(each, drawing, request.runs, ConsoleView))
    return taken


def _compared(request: Request, taken: Sequence[SpaceSample], seed: int) -> tuple[Comparison, dict[str, Comparison]]:
    """Return the main comparison, by errors or else by the first score, and those by the other scores."""
    found: dict[str, Comparison] = {}
    if errors := [sample.errors for sample in taken if sample.errors]:
        found["test error"] = compare(errors, request.settings(errors, seed))
    for name in taken[0].scores:
        scored = [sample.scores[name] for sample in taken]
        label = f"{name}, sign changed so that lower is better"
        found[name] = compare(scored, request.settings(scored, seed), label)
    first = next(iter(found))
    return found[first], {name: each for name, each in found.items() if name != first}


def _settings(vary: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return a label and overrides for each combination of ``KEY=VALUE,VALUE``."""
    keys = []
    for text in vary:
        key, equals, values = text.partition("=")
        if not equals or not values.strip():
            raise UserError(f"--vary: KEY=VALUE,VALUE is needed, but got {text!r}.")
        keys.append([f"{key.strip()}={value.strip()}" for value in values.split(",")])
    return [(", ".join(chosen), list(chosen)) for chosen in itertools.product(*keys)] if keys else []


def _file_name(label: str) -> str:
    """Return a setting as a part of a folder's name: ``learning_rate-0.05`` for ``train.recipe.learning_rate=0.05``."""
    short = (text.rpartition("=")[0].rpartition(".")[2] + "=" + text.rpartition("=")[2] for text in label.split(", "))
    return re.sub(r"[^A-Za-z0-9._]+", "-", ",".join(short)).strip("-")


def _show(study: Study) -> None:
    main = study.main
    typer.echo()
    for line in wording.summary(main, score=study.is_score):
        typer.echo(line)
    typer.echo()
    print_table(f"Samples; {main.measure}", *wording.sample_table(main))
    print_table("Differences", *wording.pair_table(main))
    for title, kind, others in (("Scores", "score", study.scores), ("Settings", "setting", study.settings)):
        if others:
            print_table(title, *wording.order_table(main, others, kind))
