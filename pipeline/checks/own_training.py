"""Whether a task with outputs, or a training function of the user's own, fits the rest of an experiment."""

from zenfront.pipeline import proxies
from zenfront.pipeline.code_checks import check_training_function
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.train_config import Data


def check_own_training(experiment: Experiment) -> None:
    """Check the training function, and that nothing asks for the classes of a task that has none.

    Raises:
        UserError: The function cannot be called as it is to be; a metric, a score or data need classes.
    """
    code = experiment.train_code
    if code:
        check_training_function(code.load(), code)
    if experiment.task.classes is not None:
        return
    if code and experiment.train.compared.is_accuracy:
        raise UserError(
            "train.metric: a task with outputs has no accuracy. Name what the function yields: "
            "metric: {name: rmse, direction: minimise}."
        )
    if experiment.train.data != Data():
        raise UserError("train.data: images are read with their classes, but the task has outputs. Remove one of them.")
    for name in experiment.score_names():
        if "labels" in proxies.load(name, experiment.own_code()).needs:
            raise UserError(
                f"objectives: the score {name!r} needs the classes of the images, but the task has outputs. Take one "
                "that needs none, such as zen, ntk or naswot; `zenfront proxies` lists what each needs."
            )


def require_function(experiment: Experiment) -> None:
    """Require a training function for a task with outputs.

    Raises:
        UserError: There is none.
    """
    if experiment.task.classes is None and experiment.train.function is None:
        raise UserError(
            "train.function: the training by `recipe` learns classes, but the task has outputs. Name a training of "
            "your own, train.function: ./mytrain.py (docs/own-training.md)."
        )
