"""Section `train` of an experiment: images, recipe, scheduler and objectives of the training."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from zenfront.pipeline.experiment._types import (
    MEMBERS,
    Option,
    Path,
    Pixels,
    Positive,
    Seed,
    Strict,
    TimeLimit,
    Word,
)
from zenfront.pipeline.experiment.recipe import NamedRecipe, Recipe
from zenfront.pipeline.results.metric import ACCURACY, AccuracyName, Metric

NamedMetric = Annotated[
    Annotated[AccuracyName, Tag(MEMBERS[0])] | Annotated[Metric, Tag(MEMBERS[1])],
    Discriminator(lambda value: MEMBERS[isinstance(value, dict | Metric)]),
]
Moments = Annotated[tuple[Annotated[float, Field(ge=-255, le=255)], ...], Field(min_length=1, max_length=4)]
Split = Annotated[float, Field(gt=0, lt=1)]


class Resize(Strict):
    """Resizing of images of any size: to the length of the shorter side, then a square is cut out of the middle."""

    size: Pixels | tuple[Pixels, Pixels]
    """Pixels of the shorter side, with the ratio of the sides kept; or [height, width], without."""
    crop: Pixels | None = None
    """Side in pixels of the square that is cut out of the middle; `size` if not given."""
    random: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Smallest share of the area of a training image that is cut out at random, instead of the middle, with a ratio of
    the sides from 3/4 to 4/3; 0.08 is usual for photographs, 0 disables it. Other images are cut in the middle."""

    @model_validator(mode="after")
    def _crop_fits(self) -> "Resize":
        if self.crop is not None and (isinstance(self.size, tuple) or self.crop > self.size):
            raise ValueError(
                f"`crop` must be at most `size`, a single number, but got (size={self.size}, crop={self.crop})"
            )
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the result."""
        side = self.crop or self.size
        return side if isinstance(side, tuple) else (side, side)


class Data(Strict):
    """Labelled images. docs/data.md shows every form that is read."""

    source: Path = "digits"
    """`digits`, a folder of images or tables, a table (.parquet, .csv), or a name on the hub, owner/name."""
    image: Word = "img"
    """Column of the images; of a .csv file, of their paths."""
    label: Word = "label"
    """Column of the classes."""
    validation: Split | Literal["split"] | None = None
    """Fraction of the training data that is held out for the scheduler's validation accuracy, or `split`, which takes
    the validation part of the data. If not given: `split` if there is one, else 0.1."""
    validation_source: Path | None = None
    """Folder, table or name on the hub with the validation images, if `source` does not hold them: its validation part,
    or all of it if it has no parts."""
    test: Split | Literal["validation"] | None = None
    """Test data in place of the test part: a fraction of the training data, the same for every seed, or `validation`,
    which takes the validation part."""
    limit: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Number of training images to use, drawn with the search's seed; all if not given."""
    store: Literal["auto", "memory", "disk"] = "auto"
    """Place of the decoded images: `memory`, one copy for all workers of a machine, or `disk`, Arrow files in the
    user's cache. `auto` takes the memory up to 512 MiB. It does not change the result."""
    resize: Resize | None = None
    """Resizing of images of any size; if not given, all must have the size of the task."""
    convert: bool | Literal["lossless"] = "lossless"
    """Conversion of images to the channels of the task with 8 bits each: `lossless` where nothing is lost, `true`
    always, `false` never."""
    rules: Literal[1, 2] = 2
    """Rules of reading. 1 is that of Zenfront 0.1, for its runs: the orientation in EXIF is ignored, and a class may be
    absent from the validation images."""

    @model_validator(mode="after")
    def _one_validation(self) -> "Data":
        if self.validation_source is not None and isinstance(self.validation, float):
            raise ValueError(
                "`validation_source` names the validation images, but `validation` holds out a fraction of the "
                f"training images (validation={self.validation}). Remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _random_crops_are_stored(self) -> "Data":
        if self.store == "memory" and self.resize and self.resize.random:
            raise ValueError(
                "`store: memory` keeps images at their final size, but `resize.random` cuts them anew in each epoch "
                f"(resize.random={self.resize.random}). Set `store: auto`, which keeps their files on the disk"
            )
        return self


class SchedulerConfig(Strict):
    """Early stopping of training runs."""

    name: Word = "asha"
    """`asha`, `successive_halving` (does not depend on the number of workers) or `fifo`."""
    grace_period: Positive = 1
    """Epochs before a run can be stopped, which is the first rung."""
    reduction_factor: Annotated[float, Field(ge=1.01, le=1000)] = 3
    """Factor by which the runs decrease and the epochs increase from rung to rung."""
    ties_within_noise: bool = True
    """Count validation accuracies that are closer than their standard error as equal, where the costs differ."""


class RandomBaselines(Strict):
    """Random networks to compare with."""

    random: Positive
    """Number of networks, drawn at random from the feasible architectures of the space at even steps of the cost."""


class Distillation(Strict):
    """Knowledge distillation: networks learn from the class probabilities of a trained one as well."""

    teacher: Annotated[Path, Field(min_length=1)]
    """`timm:NAME`, `hub:OWNER/NAME` in the form of timm, a .pt2 file, or a network of a run: RUN or RUN/NETWORK."""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Weight of the teacher's part in the loss; that of the labels has the rest."""
    temperature: Annotated[float, Field(ge=0.1, le=1000)] = 4.0
    """Temperature of both distributions; a higher one shows more of the unlikely classes."""
    size: tuple[Pixels, Pixels] | None = None
    """Height and width of the images that a .pt2 file takes; those of the task if neither is given nor in the file."""
    mean: Moments | None = None
    """Mean of each channel with which a .pt2 file wants its images normalised, for pixels from 0 to 1, if the file does
    not say."""
    std: Annotated[tuple[Annotated[float, Field(gt=0, le=255)], ...], Field(min_length=1, max_length=4)] | None = None
    """Standard deviation of each channel, as `mean`."""

    @model_validator(mode="after")
    def _moments_belong_together(self) -> "Distillation":
        lengths = [len(each or ()) for each in (self.mean, self.std)]
        if lengths[0] != lengths[1]:
            raise ValueError(
                f"`mean` and `std` must have a number for each channel, but got {lengths[0]} and {lengths[1]}"
            )
        return self

    @model_validator(mode="after")
    def _only_files_leave_it_open(self) -> "Distillation":
        if self.given and not self.teacher.endswith(".pt2"):
            raise ValueError(
                f"`{self.given[0]}` is for a .pt2 file that does not state it, but the teacher is {self.teacher!r}. "
                "Remove it"
            )
        return self

    @property
    def given(self) -> list[str]:
        """Keys that say what a .pt2 file does not."""
        return [name for name in ("size", "mean", "std") if getattr(self, name) is not None]


class Train(Strict):
    """Settings of the training of the selected architectures."""

    function: Path | None = None
    """Training of your own in place of the recipe: a Python file or `module:NAME` with a generator of the metrics of
    each epoch (docs/own-training.md). It loads its own data."""
    options: Annotated[dict[Word, Option], Field(max_length=1000)] = Field(default={})
    """Options of `function`, which it is called with."""
    metric: NamedMetric = "accuracy"
    """`accuracy`, or for classes of different size `balanced_accuracy`, the mean over the classes of their accuracy.
    With `function`: `accuracy`, or any number that it yields, as `{name: rmse, direction: minimise}`."""
    objectives: Annotated[tuple[Word, ...], Field(min_length=1, max_length=100)] | None = None
    """Criteria by which runs are compared: the metric, and costs that the search scores; all costs among its objectives
    if not given. With the metric alone, costs do not count."""

    data: Data = Data()
    """Images. Proxies that need real images take them from the training images."""
    recipe: NamedRecipe = Recipe()
    """Training recipe: its keys, or the name of a published one (`preset`)."""
    distillation: Distillation | None = None
    """A teacher for the training by `recipe`; supernets are trained without it."""
    epochs: Positive = 100
    """Number of epochs of a run that is not stopped."""
    scheduler: SchedulerConfig = SchedulerConfig()
    """Early stopping of runs."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, max_length=1000)] = (0,)
    """Seeds. The scheduler compares architectures on the first one; survivors are also trained with the others."""
    baselines: Annotated[tuple[Word | RandomBaselines, ...], Field(max_length=1000)] = ()
    """Known networks to train beside the selected ones: names of published ones (`resnet20`), architectures of the
    space in its notation or of another one as `SPACE: NOTATION`, and `random: N`. They are trained to the end, and
    neither compared by the scheduler nor counted as found."""
    time_limit: TimeLimit = 86_400
    """Time limit in seconds for an epoch; one that takes longer is tried again, then recorded as failed."""

    @field_validator("objectives")
    @classmethod
    def _metric_is_an_objective(cls, objectives: tuple[str, ...] | None, info: ValidationInfo) -> object:
        metric = getattr(info.data.get("metric"), "name", info.data.get("metric"))
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
        if problem := self._unused():
            raise ValueError(problem)
        if self.function is None and self.recipe.warmup_epochs > self.epochs:
            raise ValueError(
                "`recipe.warmup_epochs <= epochs` must hold, "
                f"but got (warmup_epochs={self.recipe.warmup_epochs}, epochs={self.epochs})"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"`seeds` must differ, but got {list(self.seeds)}")
        return self

    def _unused(self) -> str | None:
        """Return which key does not go with `function`, or not without it, or None."""
        if self.function is None and isinstance(self.metric, Metric):
            return f"`metric: {self.metric.name}` is yielded by a `function`, but none is given"
        if self.function is None and self.options:
            return "`options` are those of a `function`, but none is given"
        if self.function is None:
            return None
        if self.metric == "balanced_accuracy":
            return "`metric: balanced_accuracy` is of the training by `recipe`; name what `function` yields"
        if isinstance(self.metric, Metric) and self.metric.is_accuracy:
            return f"`metric: {self.metric.name}` needs no direction: it is a fraction, and more is better"
        if self.distillation:
            return (
                "`distillation` is a part of the training by `recipe`, which `function` takes the place of: remove it"
            )
        if self.recipe != Recipe():
            return "`recipe` does not apply with `function`, which has its own: remove it, and use `options`"
        return None

    @property
    def compared(self) -> Metric:
        """Metric that runs are compared by."""
        return self.metric if isinstance(self.metric, Metric) else Metric(self.metric, "maximise")

    @property
    def tabled(self) -> Metric:
        """Metric that tables of runs show: the plain accuracy, or the metric of `function`."""
        return self.compared if self.function else ACCURACY

    @property
    def recorded(self) -> str:
        """Name of the metric of `compared` in the record of the epochs."""
        return self.compared.name if self.function else f"val_{self.metric}"
