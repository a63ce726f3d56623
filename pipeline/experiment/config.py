"""Strict types of an experiment: unknown keys are errors, and a name cannot leave its folder."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from zenfront.pipeline.experiment._types import Name, Option, Positive, Seed, Several, Strict, TimeLimit, Word
from zenfront.pipeline.experiment.places import Cluster, Resources, Tracking
from zenfront.pipeline.experiment.supernet_config import Supernet
from zenfront.pipeline.experiment.train_config import Train
from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.user_code import COMMANDS, UserCode, command_code, file_code
from zenfront.spaces import Task


class Search(Strict):
    """Settings of the training-free search."""

    algorithm: Word = "nsga2"
    """Name of a search algorithm (`zenfront algorithms` lists them)."""
    population: Several = 64
    """Number of candidates in a generation."""
    evaluations: Annotated[int, Field(ge=1, le=100_000_000)] = 1024
    """Number of distinct architectures to score."""
    seed: Seed = 0
    """Root seed of the search."""
    batch: Several = 32
    """Number of images in the mini-batch of the proxies."""
    repeats: Literal["auto"] | Positive = "auto"
    """Evaluations of each proxy, each with new weights; the mean is the score, and its standard error is recorded.
    `auto` measures the reliability of each proxy on some architectures of the first generation, and takes it as often
    as a reliability of 0.9 at equal FLOPs needs, at most 8 times."""
    init_device: Literal["cpu", "device"] = "cpu"
    """Device that draws the weights: the `cpu`, so that every device gets the same weights; or the `device` of the
    networks, which is faster on a GPU and gives other weights on another kind of GPU."""
    tf32: bool = False
    """Whether GPUs may compute the convolutions of scores in TF32, which rounds to 10 bits: faster, but other values.
    Earlier versions did, and their runs go on with it."""
    operators: Literal["by_kind", "uniform"] = "by_kind"
    """Crossover and mutation of `nsga2` and `nsga3`: `by_kind` chooses them by the kind of gene; `uniform` is the same
    for all, as in earlier versions, whose runs go on with it."""
    lookahead: Annotated[int, Field(ge=1, le=8)] = 1
    """Generations in flight; with 2, the next one starts before the slowest batch of the current one has finished."""
    candidates_per_trial: Literal["auto"] | Positive = "auto"
    """Candidates in a Ray Tune trial; `auto` chooses as many as take some seconds. Does not change the result."""
    time_limit: TimeLimit = 600
    """Time limit in seconds for a candidate; one that takes longer is recorded as failed."""


class Select(Strict):
    """Selection of the members of the front that are trained."""

    k: Positive = 8
    """Number of members to select."""
    rule: Literal["stratified", "crowding", "knee", "even"] | None = None
    """`stratified` selects the best of each step of a cost, `crowding` the most isolated members, `knee` the best
    trade-offs, `even` evenly along one objective. If not given: `stratified` if an objective is a cost, else
    `crowding`."""
    along: Word | None = None
    """Objective along which rule `even` or `stratified` selects; `stratified` takes the first cost if not given."""
    extremes: bool = True
    """Always select the cheapest and the costliest member by each cost among the objectives, if `k` is at least 2."""
    rounds: Positive = 1
    """Rounds in which the `k` networks are selected and trained. A first part is selected by the rule; from then on, a
    model of the accuracy learns from what was trained and chooses the next part. With 1, nothing is learned."""
    random_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the first part that is drawn at random over all feasible architectures, stratified by cost, where there
    are several rounds; the proxies may be wrong."""
    evaluations: Annotated[int, Field(ge=0, le=100_000_000)] | None = None
    """Architectures that the search of each later round scores, whose objectives are the learned accuracy and the
    costs. If not given, the searches of all later rounds together score as many as the first one; with 0 they are left
    out."""

    @model_validator(mode="after")
    def _along_belongs_to_its_rules(self) -> "Select":
        if (self.along is None) if self.rule == "even" else (self.along and self.rule != "stratified"):
            raise ValueError(
                "`along` must be given with rule `even`, may be given with `stratified`, and with no other, "
                f"but got (rule={self.rule}, along={self.along})"
            )
        return self

    @model_validator(mode="after")
    def _each_round_selects_some(self) -> "Select":
        if self.rounds > 1 and self.rounds > self.k - 2:
            raise ValueError(
                "with several rounds `rounds <= k - 2` must hold, since the first one needs three networks, "
                f"but got (rounds={self.rounds}, k={self.k})"
            )
        return self


class Experiment(Strict):
    """Everything that a run depends on."""

    name: Name
    """Name of the run folder and of the MLflow run."""
    space: Word
    """Name of a search space (`zenfront spaces` lists them)."""
    task: Task
    """Shape of the images, and number of classes or of other outputs; `auto`, the default, reads shape and classes from
    the data."""
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=100)]
    """Scores to optimise."""
    constraints: Annotated[tuple[Constraint, ...], Field(max_length=100)] = ()
    """Bounds that an architecture must keep."""
    proxies: Annotated[dict[Word, Annotated[dict[Word, Option], Field(max_length=1000)]], Field(max_length=100)] = (
        Field(default={})
    )
    """Options of the proxies, by name (`zenfront proxies NAME` lists them)."""
    search: Search = Search()
    """Stage 1: search."""
    select: Select = Select()
    """Stage 2: selection."""
    train: Train = Train()
    """Stage 3: training."""
    supernet: Supernet | None = None
    """Weight sharing: `zenfront supernet`, and the score `supernet_accuracy`."""
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
        if train.compared.name in scored:
            raise ValueError(
                f"`metric` must not have the name of a score of the search, but got {train.compared.name!r}"
            )
        for name in train.objectives or ():
            if name != train.compared.name and scored and name not in scored:
                raise ValueError(
                    f"`objectives` must be the metric, {train.compared.name!r}, and scores of the search "
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
        """Return the code that some key names, the command lines that proxies run included."""
        function = [self.train.function] if self.train.function else []
        names = {"spaces": [self.space], "proxies": [*self.score_names(), *self.proxies], "training": function}
        return [*(code for code in self.code if code.name in names.get(code.kind, ())), *self._commands()]

    def _commands(self) -> Iterator[UserCode]:
        for name, options in self.proxies.items():
            if command := options.get("command"):
                yield command_code(str(command), name)

    @property
    def teacher_code(self) -> list[UserCode]:
        """The .pt2 file that is the teacher, since reading it can run code; else nothing."""
        settings = self.train.distillation
        return [file_code(settings.teacher)] if settings and settings.teacher.endswith(".pt2") else []

    @property
    def train_code(self) -> UserCode | None:
        """The code that `train.function` names, or None."""
        return next((code for code in self.own_code() if code.kind == "training"), None)

    def identity(self) -> dict[str, Any]:
        """Return everything that the results depend on: all but resources, time limits, stores and cluster."""
        identity = self.model_dump(mode="json", exclude={"resources", "tracking", "cluster", "code"})
        for options in identity["proxies"].values():
            for patience in ("timeout", "retries", "pause") if "command" in options else ():
                options.pop(patience, None)
        for code in self.own_code():
            if code.kind == COMMANDS:
                continue  # an option of its proxy
            identity.setdefault("code", {}).setdefault(code.kind, {})[code.name] = f"content {code.digest[:16]}"
        for stage, key in (("search", "candidates_per_trial"), ("search", "time_limit"), ("train", "time_limit")):
            del identity[stage][key]
        del identity["train"]["data"]["store"]
        return identity
