"""Strict types of an experiment: unknown keys are errors, numbers are finite, and a name cannot leave its folder."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.user_code import UserCode
from zenfront.spaces import Task

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Option = bool | int | float | str
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Search(_Strict):
    """Settings of the training-free search."""

    algorithm: str = "nsga2"
    """Name of a search algorithm (`zenfront algorithms` lists them)."""
    population: Annotated[int, Field(ge=2)] = 64
    """Number of candidates in a generation."""
    evaluations: Positive = 1024
    """Number of distinct architectures to score."""
    seed: Seed = 0
    """Root seed of the search."""
    batch: Annotated[int, Field(ge=2)] = 32
    """Number of images in the mini-batch of the proxies."""
    repeats: Positive = 1
    """Evaluations of each proxy, each with new weights; the mean is the score, and its standard error is recorded."""
    lookahead: Annotated[int, Field(ge=1, le=8)] = 1
    """Generations in flight; with 2, the next one starts before the slowest batch of the current one has finished."""
    candidates_per_trial: Literal["auto"] | Positive = "auto"
    """Candidates in a Ray Tune trial; `auto` chooses as many as take some seconds. Does not change the result."""
    time_limit: Annotated[float, Field(gt=0)] = 600
    """Time limit in seconds for a candidate; one that takes longer is recorded as failed."""


class Workers(_Strict):
    """Workers of one stage and their resources."""

    workers: Literal["auto"] | Positive = "auto"
    """Number of parallel workers; `auto` uses as many as the cluster has room for."""
    cpus: Positive = 1
    """Processors per worker, which is also its number of threads."""
    gpus: Annotated[float, Field(ge=0)] = 0.0
    """GPUs per worker; with a fraction, several workers share one. Ignored if device is `auto` and there is no GPU."""
    memory: Annotated[float, Field(gt=0)] | None = None
    """Memory per worker in GiB, which limits the number of workers on a machine; not limited if not given."""


class Resources(_Strict):
    """Devices and workers. They do not change the result."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the networks; `auto` uses the GPU if the worker has one."""
    search: Workers = Workers()
    """Workers of the search."""
    train: Workers = Workers()
    """Workers of the training."""


class Select(_Strict):
    """Selection of the members of the front that are trained."""

    k: Positive = 8
    """Number of members to select."""
    rule: Literal["stratified", "crowding", "knee", "even"] | None = None
    """`stratified` selects the best of each step of a cost, `crowding` the most isolated members, `knee` the best
    trade-offs, `even` evenly along one objective. If not given: `stratified` if an objective is a cost, else
    `crowding`."""
    along: str | None = None
    """Objective along which rule `even` or `stratified` selects; `stratified` takes the first cost if not given."""
    extremes: bool = True
    """Always select the cheapest and the costliest member by each cost among the objectives, if `k` is at least 2."""

    @model_validator(mode="after")
    def _along_belongs_to_its_rules(self) -> "Select":
        if (self.along is None) if self.rule == "even" else (self.along and self.rule != "stratified"):
            raise ValueError(
                "`along` must be given with rule `even`, may be given with `stratified`, and with no other, "
                f"but got (rule={self.rule}, along={self.along})"
            )
        return self


class Data(_Strict):
    """Images and labels, read with Hugging Face `datasets`, or scikit-learn's digits."""

    source: str = "digits"
    """`digits`, a folder (train.parquet and test.parquet, or train/ and test/ image folders), or a name on the hub."""
    image: str = "img"
    """Column of the images."""
    label: str = "label"
    """Column of the classes."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Fraction of the training data that is held out for the scheduler's validation accuracy."""
    limit: Positive | None = None
    """Number of training images to use, drawn with the search's seed; all if not given."""


class Recipe(_Strict):
    """Training recipe: SGD with Nesterov momentum, linear warm-up and cosine decay."""

    batch_size: Annotated[int, Field(ge=2)] = 128
    """Number of images in a mini-batch."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    """Peak learning rate for the given batch size."""
    momentum: Fraction = 0.9
    """Nesterov momentum."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    """L2 penalty, applied to all weights but those of norms and biases."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 5
    """Number of epochs of linear warm-up."""
    label_smoothing: Fraction = 0.0
    """Weight of the uniform distribution in the target labels."""
    flip: bool = False
    """Flip images horizontally at random."""
    crop_padding: Annotated[int, Field(ge=0)] = 0
    """Pixels by which images are padded before a random crop; 0 disables it."""
    cutout: Annotated[int, Field(ge=0)] = 0
    """Side in pixels of the square that is cut out; 0 disables it."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Parameter alpha of mixup's Beta distribution; 0 disables it."""
    ema: Fraction = 0.0
    """Decay of the moving average of the weights, which is evaluated in place of the weights; 0 disables it."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto` uses bfloat16 autocast on GPUs that support it and float32 elsewhere."""


class SchedulerConfig(_Strict):
    """Early stopping of training runs."""

    name: str = "asha"
    """`asha`, `successive_halving` (does not depend on the number of workers) or `fifo`."""
    grace_period: Positive = 1
    """Epochs before a run can be stopped, which is the first rung."""
    reduction_factor: Annotated[float, Field(gt=1)] = 3
    """Factor by which the runs decrease and the epochs increase from rung to rung."""
    ties_within_noise: bool = True
    """Count validation accuracies that are closer than their standard error as equal, where the costs differ."""


class Train(_Strict):
    """Settings of the training of the selected architectures."""

    metric: Literal["accuracy", "balanced_accuracy"] = "accuracy"
    """`accuracy`, or for classes of different size `balanced_accuracy`, the mean over the classes of their accuracy."""
    objectives: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """What runs are compared by: the metric, and costs that the search scores; all costs among the search's objectives
    if not given. With the metric alone, costs do not count."""

    data: Data = Data()
    """Images. Proxies that need real images take them from the training images."""
    recipe: Recipe = Recipe()
    """Training recipe."""
    epochs: Positive = 100
    """Number of epochs of a run that is not stopped."""
    scheduler: SchedulerConfig = SchedulerConfig()
    """Early stopping of runs."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    """Seeds. The scheduler compares architectures on the first one; survivors are also trained with the others."""
    time_limit: Annotated[float, Field(gt=0)] = 86_400
    """Time limit in seconds for an epoch; one that takes longer is tried again, then recorded as failed."""

    @field_validator("objectives")
    @classmethod
    def _metric_is_an_objective(cls, objectives: tuple[str, ...] | None, info: ValidationInfo) -> object:
        metric = info.data.get("metric")
        if objectives and metric and (objectives.count(metric) != 1 or len(set(objectives)) < len(objectives)):
            raise ValueError(f"must name the metric, {metric!r}, and each cost once, but got {list(objectives)}")
        return objectives

    @model_validator(mode="after")
    def _consistent(self) -> "Train":
        if self.scheduler.grace_period > self.epochs:
            raise ValueError(
                "`scheduler.grace_period <= epochs` must hold, "
                f"but got (grace_period={self.scheduler.grace_period}, epochs={self.epochs})"
            )
        if self.recipe.warmup_epochs > self.epochs:
            raise ValueError(
                "`recipe.warmup_epochs <= epochs` must hold, "
                f"but got (warmup_epochs={self.recipe.warmup_epochs}, epochs={self.epochs})"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"`seeds` must differ, but got {list(self.seeds)}")
        return self


class Tracking(_Strict):
    """MLflow tracking. It does not change the result."""

    uri: str | None = None
    """Tracking server or store; SQLite beside the runs if not given."""
    experiment: str = "zenfront"
    """Name of the MLflow experiment."""


class Cluster(_Strict):
    """Ray cluster. It does not change the result."""

    address: str | None = None
    """Address of a running cluster, `auto` or `ray://...`; Ray is started on this machine if not given."""
    storage: str | None = None
    """Storage for a copy of run folder and checkpoints: `s3://bucket/folder`, `gs://...`, or an absolute path."""
    patience: Annotated[float, Field(ge=0)] = 1800
    """Seconds to wait for a new machine after all machines are lost; then the run ends and can be resumed."""

    @field_validator("storage")
    @classmethod
    def _place_without_credentials(cls, storage: str | None) -> str | None:
        if storage and not re.match(r"/|[a-z][a-z0-9+]*://", storage):
            raise ValueError(f"`storage` must be scheme://... or an absolute path, but got {storage!r}")
        if storage and "@" in storage.partition("?")[0]:
            raise ValueError("`storage` must not hold credentials: they come from the environment of each machine")
        return storage


class Experiment(_Strict):
    """Everything that a run depends on."""

    name: Name
    """Name of the run folder and of the MLflow run."""
    space: str
    """Name of a search space (`zenfront spaces` lists them)."""
    task: Task
    """Shape of the images and number of classes."""
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)]
    """Scores to optimise."""
    constraints: tuple[Constraint, ...] = ()
    """Bounds that an architecture must keep."""
    proxies: dict[str, dict[str, Option]] = {}
    """Options of the proxies, by name (`zenfront proxies NAME` lists them)."""
    search: Search = Search()
    """Stage 1: search."""
    select: Select = Select()
    """Stage 2: selection."""
    train: Train = Train()
    """Stage 3: training."""
    resources: Resources = Resources()
    """Devices and workers."""
    tracking: Tracking = Tracking()
    """MLflow tracking."""
    cluster: Cluster = Cluster()
    """Ray cluster."""
    code: SkipJsonSchema[tuple[UserCode, ...]] = ()
    """Code of the user's own, read where a name is a reference: no key of the file."""

    @field_validator("train")
    @classmethod
    def _search_scores_the_objectives(cls, train: Train, info: ValidationInfo) -> Train:
        scored = [each.score for key in ("objectives", "constraints") for each in info.data.get(key, ())]
        for name in train.objectives or ():
            if name != train.metric and scored and name not in scored:
                raise ValueError(
                    f"`objectives` must be the metric, {train.metric!r}, and scores of the search "
                    f"({', '.join(dict.fromkeys(scored))}), but got {name!r}"
                )
        return train

    @model_validator(mode="after")
    def _consistent(self) -> "Experiment":
        names = [objective.score for objective in self.objectives]
        if doubled := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"objectives must be different scores, but got {doubled[0]!r} more than once")
        if self.select.along is not None and self.select.along not in names:
            raise ValueError(f"select.along must be an objective ({', '.join(names)}), but got {self.select.along!r}")
        return self

    def score_names(self) -> list[str]:
        """Return every score that an objective or a constraint names, each once, objectives first."""
        return list(dict.fromkeys([o.score for o in self.objectives] + [c.score for c in self.constraints]))

    def own_code(self) -> list[UserCode]:
        """Return the code that some key names."""
        names = {"spaces": [self.space], "proxies": [*self.score_names(), *self.proxies]}
        return [code for code in self.code if code.name in names[code.kind]]

    def identity(self) -> dict[str, Any]:
        """Return everything that the results depend on: all but resources, time limits, tracking and cluster."""
        identity = self.model_dump(mode="json", exclude={"resources", "tracking", "cluster", "code"})
        for code in self.own_code():
            identity.setdefault("code", {}).setdefault(code.kind, {})[code.name] = f"content {code.digest[:16]}"
        for stage, key in (("search", "candidates_per_trial"), ("search", "time_limit"), ("train", "time_limit")):
            del identity[stage][key]
        return identity
