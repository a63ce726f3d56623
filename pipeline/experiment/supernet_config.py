"""Section `supernet` of an experiment: how architectures share weights, and what a study of it compares."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from zenfront.pipeline.experiment._types import Count, Fraction, Option, Positive, Several, Strict, Word


class Norm(Strict):
    """Batch normalisation of a supernet."""

    momentum: Annotated[float, Field(gt=0, le=1)] | None = None
    """Weight of a mini-batch in the running statistics; that of the space if not given. The paper has 0.4."""
    affine: bool | None = None
    """Whether batch normalisation has a weight and a bias; as the space has it if not given. The paper has none."""
    statistics: Literal["trained", "recalibrated", "batch"] = "trained"
    """Statistics of an evaluation: `trained`, the running ones; `recalibrated`, those of each architecture on some
    mini-batches; `batch`, those of the images that are evaluated together, and none are kept."""
    batches: Positive = 8
    """Mini-batches of a recalibration."""


class Pruning(Strict):
    """Dropping of the architectures with the lowest accuracy under shared weights during training."""

    every: Positive
    """Epochs between two prunings."""
    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Fraction of the remaining architectures that is dropped each time."""
    keep: Positive = 1
    """Number of architectures that always remain."""


class FineTuning(Strict):
    """Further training of each architecture from the shared weights, for an evaluation; the supernet is unchanged."""

    batches: Positive = 10
    """Mini-batches, at the learning rate with which the epoch began."""
    after: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=1000)] | None = None
    """Epochs after which it is done; the last one if not given."""


class Setting(Strict):
    """One way of sharing weights."""

    epochs: Positive | None = None
    """Number of epochs; `train.epochs` if not given."""
    order: Literal["fixed", "shuffled", "random"] = "shuffled"
    """Order in which architectures take mini-batches: `fixed`, one random order again and again; `shuffled`, a new one
    each time; `random`, one drawn for each mini-batch."""
    vary: Literal["seeds", "orders", "both"] = "both"
    """What differs between instances: `seeds`, weights and mini-batches; `orders`, the order of the architectures."""
    groups: Positive = 1
    """Number of groups of equal size; each has weights of its own."""
    grouping: Literal["random", "lexicographic", "distance"] = "random"
    """`lexicographic`: neighbours in the order of the genes are in one group; `distance`: those with the fewest
    different genes are; `random`."""
    share: Annotated[str, Field(max_length=200, pattern=r"^(all|first_\d{1,4}|(only|not)_.{1,190})$")] = "all"
    """Weights that are shared: `all`; `first_K`, those of the stem and of the first K cells; `only_X` or `not_X`, where
    X is one or more, joined by `_and_`, of conv, norm, linear, stem, head, a gene, or an operation."""
    norm: Norm = Norm()
    """Batch normalisation."""
    prune: Pruning | None = None
    """Pruning during the training; none if not given."""


class Variant(Setting):
    """A setting that a study compares; keys that are not given are those of the section."""

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


class Supernet(Setting):
    """Settings of a supernet and of a study of weight sharing."""

    children: Several | None = None
    """Number of architectures that share weights, drawn at random; all of the space if not given."""
    genes: Annotated[dict[Word, Option], Field(max_length=1000)] = Field(default={})
    """Genes that are the same for all of them, such as `depth: 8`."""
    instances: Positive = 5
    """Number of instances of each setting."""
    last: Positive = 64
    """Number of last steps, each of which is evaluated."""
    every: Positive | None = None
    """Steps between two evaluations before the last ones; one evaluation after each epoch if not given."""
    ema: Fraction = 0.99
    """Decay of the moving average of the weights, which is evaluated at the end; 0: none."""
    swa: Fraction = 0.25
    """Last part of the steps whose weights are averaged equally, which is evaluated at the end; 0: none."""
    recalibrate: Count = 8
    """Mini-batches on which batch normalisation is recalibrated for an evaluation at the end; 0: none."""
    finetune: FineTuning | None = None
    """Evaluation of fine-tuned architectures; none if not given."""
    settings: Annotated[dict[Word, Variant], Field(max_length=100)] = Field(default={})
    """Settings that a study compares, by name; a key that is not given is as above. One setting if there are none."""

    @field_validator("settings")
    @classmethod
    def _names_are_file_names(cls, settings: dict[str, Variant]) -> dict[str, Variant]:
        wrong = [name for name in settings if not name.replace("_", "").replace("-", "").isalnum()]
        if wrong:
            raise ValueError(f"names of settings must consist of letters, digits, - and _, but got {wrong[0]!r}")
        return settings

    @model_validator(mode="after")
    def _groups_divide(self) -> "Supernet":
        for name, setting in self.compared().items():
            if self.children is not None and self.children % setting.groups:
                raise ValueError(
                    f"groups of equal size need `children % groups == 0`, but setting {name!r} has "
                    f"(children={self.children}, groups={setting.groups})"
                )
        return self

    def compared(self) -> dict[str, Setting]:
        """Return the settings that a study compares, each with the keys above that it does not give."""
        common = Setting.model_validate(self.model_dump(include=set(Setting.model_fields)))
        if not self.settings:
            return {"supernet": common}
        return {
            name: common.model_copy(update={key: getattr(setting, key) for key in setting.model_fields_set})
            for name, setting in self.settings.items()
        }
