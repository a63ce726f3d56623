"""Whether the devices of a training can share its work."""

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.training.parallel.shares import misfit


def check_devices(experiment: Experiment) -> None:
    """Check that a training can be divided among `resources.train.devices`.

    Raises:
        UserError: A training function of the user's own uses one device; a mini-batch has too few images.
    """
    train, devices = experiment.train, experiment.resources.train.devices
    if devices > 1 and train.function:
        raise UserError(
            f"resources.train.devices: a training function of your own (train.function) uses 1 device, but got "
            f"{devices}. Remove it, or train by a recipe."
        )
    if not train.function and (problem := misfit(train.recipe.batch_size, train.recipe.accumulate, devices)):
        raise UserError(f"resources.train.devices: {problem}.")
