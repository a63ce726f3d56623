"""Values of the training stage: a run, the work on it that is handed out, and the result of its test."""

from dataclasses import dataclass

from zenfront.pipeline.results.stage_rows import trial_name
from zenfront.spaces import Architecture


@dataclass(frozen=True)
class Trial:
    """One training run."""

    architecture: Architecture
    seed: int

    @property
    def name(self) -> str:
        """Name of the run, `results.trial_name`."""
        return trial_name(self.architecture.id, self.seed)


@dataclass(frozen=True)
class Evaluation:
    """Result of the one test of a run.

    Attributes:
        accuracy: Fraction of the test images that are classified correctly; None with a failure.
        loss: Mean cross-entropy in nats; None with a failure.
        failure: Reason for which there is neither, or None.
        balanced_accuracy: Mean over the classes of their accuracy; None unless `train.metric` asks for it.
        images: Number of images behind the metric, `training.classes.images_behind`; None if it is unknown.
    """

    accuracy: float | None = None
    loss: float | None = None
    failure: str | None = None
    balanced_accuracy: float | None = None
    images: float | None = None


@dataclass(frozen=True)
class Job:
    """Work for a worker: train a run on from an epoch, or test it."""

    trial: Trial
    recorded: int
    test: bool = False
