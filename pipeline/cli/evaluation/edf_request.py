"""The options of `edf`, checked before anything is drawn or trained."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zenfront.pipeline import proxies
from zenfront.pipeline.checks import check, check_data
from zenfront.pipeline.cli.evaluation.asked_experiment import AskedExperiment
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.design_spaces.error_table import Columns
from zenfront.pipeline.evaluation.design_spaces.model_sample import LEAST, ModelSample
from zenfront.pipeline.evaluation.design_spaces.sampling import PRESETS, Drawing
from zenfront.pipeline.evaluation.design_spaces.settings import Settings
from zenfront.pipeline.evaluation.sample import PROPERTIES
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.references import read_named, with_named
from zenfront.pipeline.progress import Backend
from zenfront.pipeline.wording import suggestion

BETWEEN_VALUES = re.compile(r",(?![^\[{]*[\]}])")
"""A comma outside brackets."""


@dataclass(frozen=True)
class Request:
    """The options of the command, as the user gave them."""

    asked: AskedExperiment
    spaces: Sequence[str]
    train: int
    sample: int
    scores: str | None
    serial: bool
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
    def from_files(self) -> bool:
        """Whether the samples are read from files, and not drawn from spaces."""
        return bool(self.tables or self.sweeps)

    @property
    def score_names(self) -> list[str]:
        """Names of the scores that take the place of errors.

        Raises:
            UserError: A reference to own code cannot be read.
        """
        return read_named("proxies", self._given_scores)[1]

    @property
    def _given_scores(self) -> list[str]:
        return [name.strip() for name in self.scores.split(",")] if self.scores else []

    @property
    def drawing(self) -> Drawing:
        """Samples of each space: the trained architectures are the first of those that are scored."""
        count = max(self.sample, self.train) if self.scores else 0
        backend: Backend = "serial" if self.serial else "ray"
        return Drawing(self.train, count, self.score_names, self.limits, backend)

    def check(self) -> None:
        """Check that the options belong together.

        Raises:
            UserError: They do not, or a sample would be too small.
        """
        if self.from_files == bool(self.train or self.sample):
            raise UserError(
                "give tables of errors (--table FILE, --nds FILE), or spaces (--space NAME, twice or more) with "
                "--train N or with --sample N and --scores NAMES."
            )
        self._check_files() if self.from_files else self._check_spaces()

    def _check_files(self) -> None:
        if len(self.spaces) > 1:
            raise UserError(f"--space: one space goes with --table, but got {', '.join(self.spaces)}.")
        if self.columns.only and not self.columns.by:
            raise UserError("--only goes with --by COLUMN.")
        for option, given in (("--scores", self.scores), ("--serial", self.serial), ("--vary", self.vary)):
            if given:
                raise UserError(f"{option} goes with spaces (--space, --train, --sample), not with files.")
        if not self.tables and (column := self.columns.first_given()):
            raise UserError(f"{column} goes with --table, not with --nds.")

    def _check_spaces(self) -> None:
        if len(self.spaces) < 2:
            raise UserError(
                f"two or more spaces are needed, but got {', '.join(self.spaces) or 'none'}: --space A --space B."
            )
        if option := self.columns.first_given():
            raise UserError(f"{option} goes with --table, not with spaces.")
        if bool(self.sample) > bool(self.scores):
            raise UserError("--sample N goes with --scores NAMES.")
        if self.serial and self.train:
            raise UserError("--serial goes with --sample N: networks are trained on Ray.")
        if self.vary and not self.train:
            raise UserError("--vary goes with --train N.")
        for option, count in (("--train", self.train), ("--sample", self.sample)):
            if 0 < count < LEAST:
                raise UserError(f"{option}: at least {LEAST} architectures of each space are needed, but got {count}.")
        for name in (*self._given_complexities(), *self.limits):
            if name not in PROPERTIES:
                known = ", ".join(PROPERTIES)
                raise UserError(
                    f"{name!r} is no complexity of a space. Known: {known}.{suggestion(name, list(PROPERTIES))}"
                )

    def experiment(self, overrides: Sequence[str] = ()) -> Experiment:
        """Return the experiment that names the store, and the task and the recipe of what is trained.

        Args:
            overrides: Changes beyond those of the command line.

        Raises:
            UserError: It fails a check.
        """
        experiment = self.asked.load(overrides)
        check(experiment)
        return experiment

    def experiments(self, overrides: Sequence[str] = ()) -> list[Experiment]:
        """Return the experiment of each space, under these further overrides.

        Overrides that change nothing lead to the same folders, so that nothing is trained twice.

        Raises:
            UserError: A space or a score is unknown, the data are missing, or two spaces are the same.
        """
        experiment = self.experiment(overrides)
        same = not overrides or experiment == self.experiment()
        suffix = "" if same else f".{_file_name(overrides)}"
        experiment, names = with_named(experiment, "spaces", self.spaces)
        experiment, scores = with_named(experiment, "proxies", self._given_scores)
        if doubled := [name for name in names if names.count(name) > 1]:
            raise UserError(f"--space: different spaces are needed, but got {doubled[0]!r} more than once.")
        for score in scores:
            proxies.load(score, experiment.code)
        found = []
        for name in names:
            changes = {"space": name, "name": f"{experiment.name}.edf.{name}{suffix}"}
            found.append(experiment.model_copy(update=changes))
            check(found[-1])
        if self.train:
            if found[0].train.function:
                raise UserError(
                    "train.function: the distributions are those of classification errors, which a training of your "
                    "own need not have. Write its results into a table, and compare with --table."
                )
            check_data(found[0])
        return found

    def varied(self) -> dict[str, list[str]]:
        """Return the overrides of each combination of ``KEY=VALUE,VALUE``, by a label.

        Raises:
            UserError: A text has another form.
        """
        keys = []
        for text in self.vary:
            key, _, values = text.partition("=")
            if not key.strip() or not values.strip():
                raise UserError(f"--vary: KEY=VALUE,VALUE is needed, but got {text!r}.")
            keys.append([f"{key.strip()}={value.strip()}" for value in BETWEEN_VALUES.split(values)])
        return {", ".join(chosen): list(chosen) for chosen in itertools.product(*keys)} if keys else {}

    def settings(self, samples: Sequence[ModelSample], seed: int) -> Settings:
        """Return the settings of a comparison of these samples."""
        return Settings(
            self._complexities(samples), self.limits, self.bins, self.epsilon, resamples=self.resamples, seed=seed
        )

    def _complexities(self, samples: Sequence[ModelSample]) -> list[str]:
        if self.complexity is None:
            known = (n for n in ("params", "flops") if all(n in sample.complexities for sample in samples))
            return list(itertools.islice(known, 1))
        return self._given_complexities()

    def _given_complexities(self) -> list[str]:
        given = self.complexity or "none"
        names = [] if given == "none" else [name.strip() for name in given.split(",")]
        if len(names) > 2:
            raise UserError(f"--complexity: at most two names, or none, but got {given!r}.")
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
        if not name.strip():
            raise UserError(f"--limit: NAME=LOW:HIGH is needed, but got {named!r}.")
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


def _file_name(overrides: Sequence[str]) -> str:
    """Return a setting as a part of a folder's name: ``learning_rate-0.05`` for ``train.recipe.learning_rate=0.05``."""
    parts = (text.partition("=") for text in overrides)
    short = ",".join(f"{key.rpartition('.')[2]}={value}" for key, _, value in parts)
    return re.sub(r"[^A-Za-z0-9._]+", "-", short).strip("-")
