"""The trainings of which a study of weight sharing consists."""

from dataclasses import dataclass
from functools import cached_property

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.supernet_config import Setting, Supernet
from zenfront.pipeline.seeds import seed_for
from zenfront.pipeline.supernet.course import Course
from zenfront.pipeline.supernet.groups import form_groups
from zenfront.pipeline.supernet.members import choose_members
from zenfront.pipeline.training.data import Images
from zenfront.spaces import Architecture, Space, load

PROBED = 8
"""Architectures that are evaluated after each epoch of a supernet that is trained for a score, to show the progress."""


def require_recipe(experiment: Experiment) -> None:
    """Require that the recipe of an experiment is what trains its networks.

    Raises:
        UserError: A training function does.
    """
    if experiment.train.function:
        raise UserError(
            "train.function: a supernet is trained by train.recipe, one path per mini-batch, and a training of your "
            "own trains whole networks. Remove the key: --set train.function=null."
        )


def score_plan(experiment: Experiment) -> "StudyPlan":
    """Return the training of the one supernet that `supernet_accuracy` takes its weights from.

    Raises:
        UserError: The section `supernet` describes several, or one that has no weights for other architectures.
    """
    config = experiment.supernet or Supernet()
    wrong = {"settings": bool(config.settings), "groups": config.groups > 1, "share": config.share != "all"}
    if keys := [key for key, is_wrong in wrong.items() if is_wrong]:
        raise UserError(
            f"supernet.{keys[0]}: supernet_accuracy needs one supernet that has weights for all architectures: one "
            "setting, `groups: 1` and `share: all`. Settings are compared by `zenfront supernet`."
        )
    require_recipe(experiment)
    weights = experiment.proxies.get("supernet_accuracy", {}).get("weights", "last")
    decay = {"ema": config.ema, "swa": config.swa}
    if decay.get(str(weights)) == 0:
        raise UserError(
            f"supernet.{weights}: proxies.supernet_accuracy.weights={weights!r} needs it above 0, but got 0."
        )
    unused: dict[str, object] = {"instances": 1, "last": 1, "every": None, "recalibrate": 0, "finetune": None}
    unused |= {name: 0.0 for name in decay if name != weights}
    changed = experiment.model_copy(update={"supernet": config.model_copy(update=unused)})
    return StudyPlan(changed, None if config.prune else PROBED)


@dataclass(frozen=True)
class Part:
    """The training of one group of one instance of one setting."""

    setting: str
    instance: int
    group: int

    @property
    def name(self) -> str:
        """Name in the ledger and of the folder of checkpoints."""
        return f"{self.setting}-{self.instance}-{self.group}"


@dataclass(frozen=True)
class StudyPlan:
    """What a study trains; every worker derives it from the experiment.

    Attributes:
        experiment: The experiment; without a section `supernet` its defaults count.
        evaluated: Number of architectures that are evaluated; None: all.
    """

    experiment: Experiment
    evaluated: int | None = None

    def __getstate__(self) -> dict[str, object]:
        """Return the fields alone: the module of a space of the user's own is not importable."""
        return {"experiment": self.experiment, "evaluated": self.evaluated}

    @property
    def config(self) -> Supernet:
        """The section `supernet`."""
        return self.experiment.supernet or Supernet()

    @cached_property
    def space(self) -> Space:
        """The search space."""
        return load(self.experiment.space, self.experiment.code)

    @cached_property
    def settings(self) -> dict[str, Setting]:
        """The settings that are compared, by name."""
        return self.config.compared()

    @cached_property
    def architectures(self) -> list[Architecture]:
        """The architectures that share weights."""
        return choose_members(self.space, self.experiment.task, self.config, self.experiment.search.seed)

    @cached_property
    def parts(self) -> list[Part]:
        """All trainings: the first instances of all settings first."""
        return [
            Part(name, instance, group)
            for instance in range(self.config.instances)
            for name, setting in self.settings.items()
            for group in range(setting.groups)
        ]

    def groups(self, setting: str, instance: int) -> list[list[int]]:
        """Return the indices of the architectures of each group.

        Raises:
            UserError: The groups do not divide the architectures.
        """
        chosen = self.settings[setting]
        seed = seed_for(self._seed, "supernet groups", str(instance))
        return form_groups(self.space, self.architectures, chosen.groups, chosen.grouping, seed)

    def members(self, part: Part) -> list[Architecture]:
        """Return the architectures of a part."""
        return [self.architectures[index] for index in self.groups(part.setting, part.instance)[part.group]]

    def course(self, part: Part) -> Course:
        """Return what the training of a part depends on."""
        setting, train = self.settings[part.setting], self.experiment.train
        weights = part.instance if setting.vary in ("seeds", "both") else 0
        order = part.instance if setting.vary in ("orders", "both") else 0
        return Course(
            config=self.config,
            setting=setting,
            recipe=train.recipe,
            epochs=setting.epochs or train.epochs,
            seed=seed_for(self._seed, "supernet weights", str(weights)),
            order_seed=seed_for(self._seed, "supernet order", str(order)),
            evaluated=self.evaluated,
        )

    def check(self, images: Images) -> None:
        """Check all settings before anything is trained.

        Raises:
            UserError: A setting does not fit the architectures or the images.
        """
        for name in self.settings:
            try:
                self.groups(name, 0)
                self.course(Part(name, 0, 0)).check(images)
            except UserError as error:
                raise UserError(f"setting {name!r}: {error}") from error

    @property
    def _seed(self) -> int:
        return self.experiment.search.seed
