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
    """

    experiment: Experiment

    def __getstate__(self) -> dict[str, Experiment]:
        """Return the experiment alone: the module of a space of the user's own is not importable."""
        return {"experiment": self.experiment}

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
