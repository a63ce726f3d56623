"""Section `train.recipe` of an experiment: how the weights of a network are trained."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from zenfront.pipeline.experiment._types import Count, Fraction, Positive, Rate, Several, Strict
from zenfront.pipeline.experiment.presets import PRESETS, Preset

Probability = Annotated[float, Field(ge=0, le=1)]
Part = Annotated[float, Field(gt=0, lt=1)]
_LIST = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
"""Lets a tuple be a list after a validator of the whole section, where pydantic takes values for those of Python."""
AUGMENTATION = (
    "flip",
    "crop_padding",
    "cutout",
    "random_erasing",
    "trivial_augment",
    "auto_augment",
    "rand_augment",
    "colour_jitter",
    "colour_noise",
    "mixup",
    "cutmix",
)
"""Keys that change images and targets."""
POLICIES = ("trivial_augment", "auto_augment", "rand_augment")
"""Keys that apply drawn operations to images, of which only one counts."""
_CHANNELS = {
    "trivial_augment": ((1, 3), "false"),
    "auto_augment": ((1, 3), "null"),
    "rand_augment": ((1, 3), "null"),
    "colour_noise": ((3,), "0"),
}
"""Numbers of channels of the images that a key changes, and the value that disables it."""
SMALLEST_CUT = 3
"""Smallest side, in pixels, of images out of which CutMix can take a rectangle."""
AutoAugment = Literal["cifar10", "imagenet"]
_SINCE_0_1: Mapping[str, Any] = {
    "optimizer": "sgd",
    "beta2": 0.999,
    "schedule": "cosine",
    "steps_at": [0.5, 0.75],
    "step_factor": 0.1,
    "clip_norm": 0.0,
    "accumulate": 1,
    "trivial_augment": False,
    "auto_augment": None,
    "rand_augment": None,
    "colour_jitter": 0.0,
    "colour_noise": 0.0,
    "random_erasing": 0.0,
    "cutmix": 0.0,
    "stochastic_depth": 0.0,
    "loss": "cross_entropy",
    "target_threshold": 0.0,
    "sync_batch_norm": False,
}
"""Keys that version 0.1 did not have, with the value of what it did."""


class RandAugment(Strict):
    """RandAugment: operations on each image that are drawn anew, all of one strength."""

    operations: Annotated[int, Field(ge=1, le=16)] = 2
    """Number of operations, one after the other."""
    magnitude: Annotated[float, Field(ge=0, le=30)] = 9.0
    """Strength on the scale of the form: 30 is the strongest of `paper`, 10 that of `timm`."""
    noise: Annotated[float, Field(ge=0, le=30)] = 0.0
    """Standard deviation of the magnitude, which is drawn anew for each operation; timm's `mstd`."""
    form: Literal["paper", "timm"] = "paper"
    """`paper`, with its 14 operations; or `timm`, with 15, of which each is applied with probability 1/2: timm's
    `inc1`."""

    @property
    def strongest(self) -> float:
        """Magnitude of the largest strength."""
        return 10.0 if self.form == "timm" else 30.0

    @model_validator(mode="after")
    def _magnitude_is_on_the_scale(self) -> "RandAugment":
        if self.magnitude > self.strongest:
            raise ValueError(
                f"`magnitude` must be at most {self.strongest:g} with `form: {self.form}`, but got {self.magnitude:g}"
            )
        return self


class Recipe(Strict):
    """Training recipe; by default SGD with Nesterov momentum, linear warm-up and cosine decay."""

    preset: Annotated[Preset | None, Field(exclude=True)] = None
    """Published recipe whose values count for the keys that are not given. `zenfront config show` writes them out."""
    batch_size: Several = 128
    """Number of images in a mini-batch: those of one step of the optimiser."""
    accumulate: Positive = 1
    """Number of parts in which a mini-batch passes through the network, for memory. The gradients are those of the
    whole mini-batch, but batch normalisation sees one part at a time."""
    optimizer: Literal["sgd", "adamw", "lamb"] = "sgd"
    """`sgd` with Nesterov momentum; `adamw`, which needs a far lower learning rate and a higher weight decay; or `lamb`
    for large mini-batches."""
    learning_rate: Annotated[float, Field(gt=0, le=1000)] = 0.1
    """Peak learning rate for the given batch size."""
    momentum: Fraction = 0.9
    """Nesterov momentum; of adamw and lamb, beta_1."""
    beta2: Fraction = 0.999
    """beta_2 of adamw and lamb."""
    weight_decay: Rate = 5e-4
    """L2 penalty, applied to all weights but those of norms and biases; with adamw decoupled from the gradient."""
    schedule: Literal["cosine", "one_cycle", "step"] = "cosine"
    """Course of the learning rate after the warm-up: `cosine` falls to 0; `step` is multiplied by `step_factor` at each
    of `steps_at`; `one_cycle` rises for the first 30 % of the training in place of the warm-up (torch's OneCycleLR,
    with constant momentum)."""
    steps_at: Annotated[tuple[Part, ...], Field(min_length=1, max_length=100), _LIST] = (0.5, 0.75)
    """Fractions of the training at which `schedule: step` lowers the learning rate."""
    step_factor: Part = 0.1
    """Factor of each step of `schedule: step`."""
    warmup_epochs: Count = 5
    """Number of epochs of linear warm-up."""
    clip_norm: Rate = 0.0
    """Largest Euclidean norm of the gradient of a step, which is scaled down to it; 0 disables it."""
    loss: Literal["cross_entropy", "binary_cross_entropy"] = "cross_entropy"
    """`cross_entropy`, or `binary_cross_entropy`, the mean over the classes of the loss of each class by itself."""
    target_threshold: Fraction = 0.0
    """Target above which a class counts as present with `binary_cross_entropy`, as after mixing images; 0 keeps the
    targets."""
    label_smoothing: Fraction = 0.0
    """Weight of the uniform distribution in the target labels."""
    stochastic_depth: Fraction = 0.0
    """Probability with which an image passes by the last residual branch of the network in training; those of the
    branches before it fall linearly to 0."""
    flip: bool = False
    """Flip images horizontally at random."""
    crop_padding: Count = 0
    """Pixels by which images are padded before a random crop; 0 disables it."""
    cutout: Count = 0
    """Side in pixels of the square that is cut out; 0 disables it."""
    random_erasing: Probability = 0.0
    """Probability with which a rectangle of an image is erased; 0 disables it."""
    trivial_augment: bool = False
    """Apply one of 14 operations to each image, of a strength that is drawn: TrivialAugment's wide space."""
    auto_augment: AutoAugment | None = None
    """Apply two operations to each image, a pair of the policy that AutoAugment found for that data set; `null`
    disables it."""
    rand_augment: RandAugment | None = None
    """Apply operations of one strength to each image; `null` disables it."""
    colour_jitter: Fraction = 0.0
    """Range around 1 of the factors by which brightness, contrast and saturation are changed; 0 disables it."""
    colour_noise: Rate = 0.0
    """Standard deviation of a colour that is added to an image, along the principal components of the colours of
    ImageNet; 0.1 is usual, 0 disables it."""
    mixup: Rate = 0.0
    """Parameter alpha of mixup's Beta distribution; 0 disables it."""
    cutmix: Rate = 0.0
    """Parameter alpha of CutMix's Beta distribution; with `mixup`, either is applied to half of the mini-batches; 0
    disables it."""
    ema: Fraction = 0.0
    """Decay of the moving average of the weights, which is evaluated in place of the weights; 0 disables it."""
    sync_batch_norm: bool = False
    """Let batch normalisation see the whole mini-batch when `resources.train.devices` share it; otherwise each device
    normalises its own share."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto` uses bfloat16 autocast on GPUs that support it and float32 elsewhere."""

    @model_validator(mode="before")
    @classmethod
    def _with_its_preset(cls, value: object) -> object:
        """Return the values of the preset, changed by those that are given; a text is the name of a preset."""
        given = {"preset": value} if isinstance(value, str) else value
        name = given.get("preset") if isinstance(given, Mapping) else None
        if not isinstance(given, Mapping) or not isinstance(name, str) or name not in PRESETS:
            return given
        return dict(PRESETS[name]) | {key: each for key, each in given.items() if key != "preset"}

    @model_validator(mode="after")
    def _steps_ascend(self) -> "Recipe":
        if list(self.steps_at) != sorted(set(self.steps_at)):
            raise ValueError(f"`steps_at` must ascend, but got {list(self.steps_at)}")
        if self.accumulate > self.batch_size:
            raise ValueError(
                "`accumulate <= batch_size` must hold, "
                f"but got (accumulate={self.accumulate}, batch_size={self.batch_size})"
            )
        return self

    @model_validator(mode="after")
    def _threshold_counts(self) -> "Recipe":
        if self.target_threshold and self.loss == "cross_entropy":
            raise ValueError(
                "`target_threshold` counts with `loss: binary_cross_entropy` alone, but got "
                f"{self.target_threshold:g}. Set it to 0"
            )
        return self

    @model_validator(mode="after")
    def _one_policy(self) -> "Recipe":
        given = [name for name in POLICIES if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(
                f"only one of {', '.join(POLICIES)} can be used, but got {' and '.join(given)}. "
                f"Disable all but one, as with `{given[0]}: {_CHANNELS[given[0]][1]}`"
            )
        return self

    def misfit(self, channels: int, height: int, width: int) -> str | None:
        """Return which key does not fit images of that shape and why, or None."""
        side = min(height, width)
        for name in ("crop_padding", "cutout"):
            if (value := getattr(self, name)) >= side:
                return f"{name} must be less than the side of the images, {side} pixels, but got {value}"
        for name, (kinds, off) in _CHANNELS.items():
            if getattr(self, name) and channels not in kinds:
                taken = " or ".join(map(str, kinds))
                return f"{name} changes images of {taken} channels, but these have {channels}. Set it to {off}"
        if self.cutmix and side < SMALLEST_CUT:
            return f"cutmix needs images of at least {SMALLEST_CUT} pixels, but their side is {side}. Set it to 0"
        return None

    def without_augmentation(self) -> "Recipe":
        """Return the recipe without changes to images and targets."""
        return self.model_copy(update={name: Recipe.model_fields[name].default for name in AUGMENTATION})

    def identity(self) -> dict[str, Any]:
        """Return the JSON form that checkpoints are compared by; keys that 0.1 did not have appear when they count."""
        values = self.model_dump(mode="json")
        return {key: value for key, value in values.items() if _SINCE_0_1.get(key, ...) != value}


class _OrItsName:
    """Adds the names of the presets to the JSON schema of a recipe."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(core_schema), {"enum": list(PRESETS), "type": "string"}]}


NamedRecipe = Annotated[Recipe, _OrItsName()]
