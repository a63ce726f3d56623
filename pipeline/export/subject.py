"""A network to export: its weights, and everything that a user of it has to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from zenfront.pipeline.experiment.train_config import Resize
from zenfront.pipeline.results.metric import ACCURACY, Metric
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.training.images.decoding.form import MODES, Form
from zenfront.spaces import Architecture, Network, Space, Task, initialise


@dataclass(frozen=True)
class Preprocessing:
    """The steps from a test image to the input of the network: the form of the training, then ``(image - mean) / std``.

    Attributes:
        channels: Number of channels.
        height: Height in pixels.
        width: Width in pixels.
        mean: Mean of each channel, in units of the 8-bit pixel values, which are not rescaled; None if it is unknown.
        std: Standard deviation of each channel, in the same units; None if it is unknown.
        resize: How images of other sizes are resized (bilinear, with antialiasing); None: they are refused.
        rules: Rules of reading, as in `Form`.
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: Resize | None = None
    rules: int = 2

    @property
    def mode(self) -> str:
        """Pillow's mode of the images: ``L``, ``LA``, ``RGB`` or ``RGBA``; empty if no image has so many channels."""
        return MODES.get(self.channels, "")

    @property
    def form(self) -> Form:
        """Form of the decoded images; all modes are converted."""
        return Form(self.channels, self.height, self.width, self.resize, True, self.rules)


@dataclass(frozen=True)
class Facts:
    """The knowledge that a run has of a network; all of it is empty for a network without a run.

    Attributes:
        run: Name of the run.
        folder: Run folder.
        found: Sentences that say how the network was found and trained.
        scores: Score by name, costs among them, as the search recorded them.
        errors: Standard error by name of each score that was repeated.
        units: Unit by name of the score.
        metric: What networks are compared by.
        accuracy: Mean of the metric on the test images over all seeds, of an accuracy a fraction; None unless it was
            trained to the end.
        error: Standard deviation of `accuracy` over the seeds, or with one seed the binomial error of the test set.
        seeds: Number of seeds behind `accuracy`.
        picks: Reason by name of each pick of the trained front that this network is.
        seed: Seed of the exported weights.
        epochs: Completed epochs of the exported weights.
        validation: The metric of the exported weights on the validation images, a fraction.
        test: The metric of the exported weights on the test images, a fraction; None if they were not tested.
    """

    run: str = ""
    folder: Path | None = None
    found: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    metric: Metric = ACCURACY
    accuracy: float | None = None
    error: float | None = None
    seeds: int = 0
    picks: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    epochs: int = 0
    validation: float | None = None
    test: float | None = None


@dataclass(frozen=True)
class Subject:
    """A network to export.

    Attributes:
        network: The network (N, C, H, W) -> (N, classes) logits on the CPU, in float32 and in evaluation mode. If
            trained, it has the weights that were tested.
        architecture: Its space and genes; it has the id.
        notation: The space's own notation for it.
        task: Shape of the images and number of classes.
        preprocessing: What is done to an image before the network.
        classes: Names of the classes in the order of the logits; empty if they are not known.
        facts: What the run knows of it.
        trained: Whether the weights are trained.
    """

    network: nn.Module
    architecture: Architecture
    notation: str
    task: Task
    preprocessing: Preprocessing
    classes: tuple[str, ...] = ()
    facts: Facts = field(default_factory=Facts)
    trained: bool = False

    @property
    def space(self) -> str:
        """Name of the search space."""
        return self.architecture.space

    @property
    def id(self) -> str:
        """Id of the architecture."""
        return self.architecture.id

    @property
    def name(self) -> str:
        """Name of the export: ``<run>-<id>``, without a run ``<space>-<id>``."""
        return f"{self.facts.run or self.space}-{self.id}"


def fresh_network(space: Space, architecture: Architecture, task: Task, seed: int = 0) -> Network:
    """Return a network with the weights that a training with this seed begins with, in evaluation mode.

    Raises:
        UserError: The architecture cannot be built for the task.
    """
    network = initialise(space.network(architecture, task), torch_generator(seed, "weights"))
    return network.eval()


def fresh_subject(space: Space, architecture: Architecture, task: Task, seed: int = 0) -> Subject:
    """Return an architecture without a run, with fresh weights; its normalisation is unknown.

    Raises:
        UserError: The architecture cannot be built for the task.
    """
    return Subject(
        network=fresh_network(space, architecture, task, seed),
        architecture=architecture,
        notation=space.notation(architecture),
        task=task,
        preprocessing=Preprocessing(task.channels, task.height, task.width),
        facts=Facts(seed=seed),
    )
