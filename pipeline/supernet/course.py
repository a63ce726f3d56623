"""The course of the training of a supernet: how long, at which learning rate, and when architectures are evaluated."""

from dataclasses import dataclass

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.experiment.supernet_config import Setting
from zenfront.pipeline.experiment.supernet_config import Supernet as Config
from zenfront.pipeline.results.supernet_rows import Kind
from zenfront.pipeline.training.data import Images
from zenfront.pipeline.training.loop import batch_size
from zenfront.pipeline.training.optimisation.optimiser import rate_factor


@dataclass(frozen=True)
class Course:
    """Everything that the training of a supernet depends on, but for the supernet and the images.

    Attributes:
        config: What is evaluated, and when.
        setting: How weights are shared.
        recipe: Training recipe; its `ema` does not count.
        epochs: Number of epochs.
        seed: Seed of weights, mini-batches and augmentation, which are those of `training.loop.train` with this seed.
        order_seed: Seed of the order of the architectures.
        evaluated: Number of architectures that are evaluated, the first ones; None: all.
    """

    config: Config
    setting: Setting
    recipe: Recipe
    epochs: int
    seed: int
    order_seed: int
    evaluated: int | None = None

    def steps(self, images: Images) -> int:
        """Return the number of steps of an epoch."""
        return len(images.train) // batch_size(self.recipe, images)

    def check(self, images: Images) -> None:
        """Check that the training has as many steps as are evaluated.

        Raises:
            UserError: It has fewer, or its warm-up is longer.
        """
        total = self.epochs * self.steps(images)
        if self.config.last > total:
            raise UserError(
                f"supernet.last: `last <= steps` must hold, but got (last={self.config.last}, steps={total}): "
                f"{self.epochs} epochs of {self.steps(images)} mini-batches."
            )
        if self.recipe.warmup_epochs > self.epochs:
            raise UserError(
                "train.recipe.warmup_epochs: `warmup_epochs <= epochs` must hold for the supernet, but got "
                f"(warmup_epochs={self.recipe.warmup_epochs}, epochs={self.epochs})."
            )

    def learning_rate(self, step: int, images: Images) -> float:
        """Return the learning rate of a step, from 0: that of `training.loop`."""
        steps = self.steps(images)
        factor = rate_factor(step, recipe=self.recipe, epoch=steps, total=self.epochs * steps)
        return self.recipe.learning_rate * factor

    def is_evaluated(self, step: int, images: Images) -> bool:
        """Check whether the architectures are evaluated after this number of steps."""
        steps = self.steps(images)
        prune = self.setting.prune
        pruned = prune is not None and step % (prune.every * steps) == 0
        return pruned or step > self.epochs * steps - self.config.last or step % (self.config.every or steps) == 0

    def remedies(self, epoch: int) -> list[Kind]:
        """Return the kinds of weights that are evaluated beside the shared ones after an epoch."""
        config, ends = self.config, epoch == self.epochs
        wanted: dict[Kind, bool] = {
            "ema": ends and config.ema > 0,
            "swa": ends and config.swa > 0,
            "recalibrated": ends and config.recalibrate > 0 and self.setting.norm.statistics == "trained",
            "finetuned": config.finetune is not None and epoch in (config.finetune.after or (self.epochs,)),
        }
        return [kind for kind, asked in wanted.items() if asked]

    def last_key(self, images: Images) -> tuple[int, Kind]:
        """Return the step and the kind of the last row of a training."""
        kinds: list[Kind] = ["shared", *self.remedies(self.epochs)]
        return self.epochs * self.steps(images), kinds[-1]

    def rows(self, images: Images) -> int:
        """Return the number of rows of a training that does not diverge."""
        steps = range(1, self.epochs * self.steps(images) + 1)
        evaluated = sum(self.is_evaluated(step, images) for step in steps)
        return evaluated + sum(len(self.remedies(epoch)) for epoch in range(1, self.epochs + 1))
