"""Small networks whose scores have closed forms."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from zenfront.pipeline import proxies
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.seeds import torch_generator
from zenfront.spaces import Init, Network, initialise

Layers = Callable[[], list[nn.Module]]


@pytest.fixture
def score() -> Callable[..., float]:
    """Return a function (name, network, batch, **options) -> score that always uses the same generator."""

    def take(name: str, network: Network, batch: Batch, **options: object) -> float:
        return proxies.load(name).score(network, batch, torch_generator(3, "score"), **options)

    return take


@pytest.fixture
def build() -> Callable[..., Network]:
    """Return a function (layers of the features, layers of the head, init) -> network with drawn weights."""

    def make(features: Layers, head: Layers = lambda: [nn.Flatten()], init: Init = "kaiming") -> Network:
        with torch.device("meta"):
            network = Network(nn.Sequential(*features()), nn.Sequential(*head()))
        return initialise(network, torch_generator(4, "weights"), init)

    return make


@pytest.fixture
def images() -> Tensor:
    """(6, 3, 4, 4)."""
    return torch.randn(6, 3, 4, 4, generator=torch_generator(5, "images"))


@pytest.fixture
def batch(images: Tensor) -> Batch:
    return Batch(images, torch.tensor([0, 1, 2, 0, 1, 2]))
