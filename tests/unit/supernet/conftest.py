"""A small space of cells, and images that can be learned."""

from itertools import product

import pytest
import torch

from zenfront import spaces
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.spaces import Architecture, Space, Task


@pytest.fixture(scope="session")
def task() -> Task:
    return Task(3, 8, 8, 3)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(batch_size=16, learning_rate=0.05, warmup_epochs=1, crop_padding=1, flip=True)


@pytest.fixture(scope="session")
def space() -> Space:
    return spaces.load("supernet64")


@pytest.fixture(scope="session")
def every(space: Space) -> list[Architecture]:
    """All 64 architectures, in the order of their genes."""
    return [space.literal(levels) for levels in product(range(4), repeat=3)]


@pytest.fixture(scope="session")
def images() -> Images:
    """96 and 40 images of three classes, which differ in the brightness of one channel."""
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> ImageSet:
        labels = torch.randint(0, 3, (count,), generator=generator)
        pixels = torch.randint(0, 160, (count, 3, 8, 8), generator=generator)
        pixels[torch.arange(count), labels] += 60
        return ImageSet(pixels.to(torch.uint8), labels)

    train, held_out = draw(96), draw(40)
    return Images(train, held_out, torch.full((3,), 100.0), torch.full((3,), 55.0), lambda: held_out, 3)
