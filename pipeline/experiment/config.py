"""An experiment as strict values: an unknown key is an error, a number is finite, a name stays in its folder."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.spaces import Task

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Option = bool | int | float | str
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Search(_Strict):
    """Training-free search."""

    algorithm: str = "nsga2"
    """Name of a search algorithm (`zenfront algorithms` lists them)."""
    population: Annotated[int, Field(ge=2)] = 64
    """Candidates in a generation."""
    evaluations: Positive = 1024
    """Distinct architectures to score in all."""
    seed: Seed = 0
    """Root of all randomness of the search."""
    batch: Annotated[int, Field(ge=2)] = 32
    """Images in the mini-batch of the proxies."""
    repeats: Positive = 1
    """How often a proxy is taken with fresh weights; its mean counts, its standard error is recorded."""
    lookahead: Annotated[int, Field(ge=1, le=8)] = 1
    """Generations in flight: with 2 the next is asked before the slowest batch of this one is back."""
    candidates_per_trial: Literal["auto"] | Positive = "auto"
    """Candidates in a Ray Tune trial; `auto`: as many as take some seconds. Does not change the result."""
    time_limit: Annotated[float, Field(gt=0)] = 600
    """Seconds after which a candidate that is still being scored is recorded as failed."""


class Workers(_Strict):
    """Resources of one stage."""

    workers: Literal["auto"] | Positive = "auto"
    """Workers at once; `auto`: as many as the cluster has room for."""
    cpus: Positive = 1
    """Processors of one worker: its number of threads."""
    gpus: Annotated[float, Field(ge=0)] = 0.0
    """GPUs of one worker; a fraction lets several share one. None where device is `auto` and no machine has a GPU."""
    memory: Annotated[float, Field(gt=0)] | None = None
    """GiB of a machine that one worker needs: no more are put on it than fit. Not counted if not given."""


class Resources(_Strict):
    """Where the work is done. Does not change the result."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the networks; `auto`: the GPU where a worker has one."""
    search: Workers = Workers()
    """Of the scoring workers."""
    train: Workers = Workers()
    """Of the training workers."""


class Select(_Strict):
    """Which members of the front are trained."""

    k: Positive = 8
    """How many."""
    rule: Literal["crowding", "knee", "even"] = "crowding"
    """`crowding`: the most isolated; `knee`: the best trade-offs; `even`: evenly along one objective."""
    along: str | None = None
    """The objective of rule `even`."""

    @model_validator(mode="after")
    def _along_belongs_to_even(self) -> "Select":
        if (self.rule == "even") != (self.along is not None):
            raise ValueError(f"`along` goes with rule `even`, but got (rule={self.rule}, along={self.along})")
        return self


class Data(_Strict):
    """Images and labels through Hugging Face `datasets`, or scikit-learn's digits."""

    source: str = "digits"
    """`digits`; a folder (train.parquet and test.parquet, or train/ and test/ image folders); or a name on the hub."""
    image: str = "img"
    """Column of the images."""
    label: str = "label"
    """Column of the classes."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training data that is held out to steer the search and ASHA."""
    limit: Positive | None = None
    """Use only so many training images, drawn with the search's seed; all if not given."""


class Recipe(_Strict):
    """How a network is trained: SGD with Nesterov momentum, linear warm-up, cosine decay."""

    batch_size: Annotated[int, Field(ge=2)] = 128
    """Images in a mini-batch."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    """Peak learning rate, at the given batch size."""
    momentum: Fraction = 0.9
    """Of Nesterov's method."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    """L2 penalty; not on norms and biases."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 5
    """Epochs of linear warm-up."""
    label_smoothing: Fraction = 0.0
    """Weight of the uniform distribution in the target."""
    flip: bool = False
    """Random horizontal flips."""
    crop_padding: Annotated[int, Field(ge=0)] = 0
    """Random crops after padding by so many pixels."""
    cutout: Annotated[int, Field(ge=0)] = 0
    """Side of the square that is cut out, in pixels; 0: none."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Alpha of mixup's Beta distribution; 0: none."""
    ema: Fraction = 0.0
    """Decay of the exponential moving average of the weights, which is then what is evaluated; 0: none."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 autocast on GPUs that have it, float32 elsewhere."""


class SchedulerConfig(_Strict):
    """Early stopping of training runs."""

    name: str = "asha"
    """`asha`, `successive_halving` (does not depend on the number of workers) or `fifo`."""
    grace_period: Positive = 1
    """Epochs before a run can be stopped: the first rung."""
    reduction_factor: Annotated[float, Field(gt=1)] = 3
    """One in so many goes on from rung to rung, and the rungs' epochs grow by it."""


class Train(_Strict):
    """Training of the selected architectures."""

    data: Data = Data()
    """The images. Proxies that need real images take them from its training part."""
    recipe: Recipe = Recipe()
    """How."""
    epochs: Positive = 100
    """Of a run that is not stopped."""
    scheduler: SchedulerConfig = SchedulerConfig()
    """Early stopping."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    """The scheduler compares architectures on the first seed; survivors are trained with the others as well."""
    time_limit: Annotated[float, Field(gt=0)] = 86_400
    """Seconds after which an epoch that still goes on is given up; it is tried again, then recorded as failed."""

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
    """MLflow. Does not change the result."""

    uri: str | None = None
    """Tracking server or store; if not given, SQLite beside the runs."""
    experiment: str = "zenfront"
    """MLflow experiment."""


class Cluster(_Strict):
    """Ray. Does not change the result."""

    address: str | None = None
    """Address of a running cluster, `auto` or `ray://...`; if not given, Ray is started on this machine."""
    storage: str | None = None
    """Keeps a copy of the run folder and the checkpoints: `s3://bucket/folder`, `gs://...`, or an absolute path."""
    patience: Annotated[float, Field(ge=0)] = 1800
    """Seconds to wait for a machine to come when those that there were are gone; then the run ends, resumable."""

    @field_validator("storage")
    @classmethod
    def _place_without_credentials(cls, storage: str | None) -> str | None:
        if storage and not re.match(r"/|[a-z][a-z0-9+]*://", storage):
            raise ValueError(f"`storage` is scheme://... or an absolute path, but got {storage!r}")
        if storage and "@" in storage.partition("?")[0]:
            raise ValueError("`storage` holds no credentials: they come from the environment of each machine")
        return storage


class Experiment(_Strict):
    """All that a run depends on."""

    name: Name
    """Names the run folder and the MLflow run."""
    space: str
    """Name of a search space (`zenfront spaces` lists them)."""
    task: Task
    """What the networks have to do."""
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)]
    """What to prefer."""
    constraints: tuple[Constraint, ...] = ()
    """What to exclude."""
    proxies: dict[str, dict[str, Option]] = {}
    """Options of the proxies, by name (`zenfront proxies NAME` tells them)."""
    search: Search = Search()
    """Stage 1."""
    select: Select = Select()
    """Stage 2."""
    train: Train = Train()
    """Stage 3."""
    resources: Resources = Resources()
    """Where the work is done."""
    tracking: Tracking = Tracking()
    """Where it is shown."""
    cluster: Cluster = Cluster()
    """Which Ray cluster."""

    @model_validator(mode="after")
    def _consistent(self) -> "Experiment":
        names = [objective.score for objective in self.objectives]
        if doubled := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"objectives: each score once, but got {doubled[0]!r} more than once")
        if self.select.along is not None and self.select.along not in names:
            raise ValueError(f"select.along must be an objective ({', '.join(names)}), but got {self.select.along!r}")
        return self

    def score_names(self) -> list[str]:
        """Every score that an objective or a constraint names, once, in that order."""
        return list(dict.fromkeys([o.score for o in self.objectives] + [c.score for c in self.constraints]))

    def identity(self) -> dict[str, Any]:
        """All that the results depend on: without resources, time limits, tracking and cluster."""
        identity = self.model_dump(mode="json", exclude={"resources", "tracking", "cluster"})
        for stage, key in (("search", "candidates_per_trial"), ("search", "time_limit"), ("train", "time_limit")):
            del identity[stage][key]
        return identity
