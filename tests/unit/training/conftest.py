"""A small network and few digits, so that an epoch takes milliseconds."""

from collections.abc import Callable

import pytest

from zenfront import spaces
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.data import Images, load
from zenfront.spaces import Network, Task

DIGITS = Task(1, 8, 8, 10)
NewNetwork = Callable[..., Network]


@pytest.fixture
def digits() -> Images:
    """Digits with 108 training images and 12 validation images."""
    return load(Data(limit=120), DIGITS, seed=0)


@pytest.fixture
def new_network() -> NewNetwork:
    """Return a function that makes a network of anynet3 on the meta device, with three blocks of the given width."""

    def build(width: int = 8) -> Network:
        space = spaces.load("anynet3")
        genes = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 1), ("w", width), ("b", 2), ("g", 4))}
        return space.network(space.architecture(genes), DIGITS)

    return build
