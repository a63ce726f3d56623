"""Whether the devices of a training can share its work."""

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.training.parallel.shares import misfit

ALL = 2**63
"""Number of images if it is not known: enough for any mini-batch."""


def check_devices(experiment: Experiment, images: int = ALL) -> None:
    """Check that a training can be divided among `resources.train.devices`.

    Args:
        experiment: The experiment.
        images: Number of training images, of which a mini-batch has no more.

    Raises:
        UserError: A training function of the user's own uses one device; a mini-batch has too few images.
    """
    train, devices = experiment.train, experiment.resources.train.devices
    size, accumulate = min(train.recipe.batch_size, images), train.recipe.accumulate
    if devices > 1 and train.function:
        raise UserError(
            f"resources.train.devices: a training function of your own (train.function) uses 1 device, but got "
            f"{devices}. Remove it, or train by a recipe."
        )
    if not train.function and (problem := misfit(size, accumulate, devices)):
        raise UserError(f"resources.train.devices: {problem}.")
