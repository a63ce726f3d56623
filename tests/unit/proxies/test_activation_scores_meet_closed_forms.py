import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies import Batch
from zenfront.spaces import Network

Score = Callable[..., float]
Build = Callable[..., Network]
ON_PATTERNS = ["naswot", "linear_regions", "swap"]


def signs() -> list[nn.Module]:
    """States of the three ReLUs per pixel: with the weights of `network`, the sign of the image in each channel."""
    return [nn.Conv2d(3, 3, 1, bias=False), nn.ReLU()]


@pytest.fixture
def network(build: Build) -> Network:
    network = build(signs)
    with torch.no_grad():
        network.features.get_parameter("0.weight").copy_(torch.eye(3)[:, :, None, None])
    return network


@pytest.fixture
def states(batch: Batch) -> np.ndarray:
    """Return the states (N, A) of the ReLUs of `network`."""
    found: np.ndarray = (batch.images > 0).flatten(1).numpy()
    return found


def test_naswot_of_two_images(score: Score, network: Network, batch: Batch, states: np.ndarray) -> None:
    """det = A^2 - (A - d)^2 with d the Hamming distance and A = 48 units."""
    distance = int((states[0] != states[1]).sum())
    expected = math.log(48**2 - (48 - distance) ** 2)
    assert score("naswot", network, Batch(batch.images[:2], batch.labels[:2])) == pytest.approx(expected, rel=1e-12)


def test_naswot(score: Score, network: Network, batch: Batch, states: np.ndarray) -> None:
    hamming = (states[:, None] != states[None, :]).sum(2)
    _, expected = np.linalg.slogdet(48.0 - hamming)
    assert score("naswot", network, batch) == pytest.approx(expected, rel=1e-12)


def test_naswot_of_equal_images_is_undefined(score: Score, network: Network, batch: Batch) -> None:
    with pytest.raises(ScoreUndefined, match="two images have the same states"):
        score("naswot", network, replace(batch, images=batch.images[[0, 1, 2, 3, 4, 0]]))


def test_linear_regions_of_the_batch(score: Score, network: Network, batch: Batch) -> None:
    doubled = replace(batch, images=batch.images[[0, 1, 2, 1, 0, 0]])
    assert score("linear_regions", network, doubled, mode="reference") == 3


def test_linear_regions_of_crops(score: Score, network: Network, batch: Batch) -> None:
    """Crops of one pixel from images of two colours have two patterns; 4 x 4 images of three channels have more."""
    colours = torch.tensor([1.0, -1, 1, -1, 1, -1])[:, None, None, None].expand_as(batch.images)
    assert score("linear_regions", network, replace(batch, images=colours), crop=1) == 2
    assert score("linear_regions", network, batch, crop=1) == 8
    assert score("linear_regions", network, batch, crop=9, samples=100) == 6


def test_swap(score: Score, network: Network, batch: Batch, states: np.ndarray) -> None:
    expected = len({tuple(unit) for unit in states.T})
    assert score("swap", network, batch) == expected
    size = 9
    assert score("swap", network, batch, mu=4, sigma=10) == pytest.approx(expected * math.exp(-((size - 4) ** 2) / 10))


def test_swap_is_at_most_two_to_the_images(score: Score, network: Network, batch: Batch) -> None:
    assert score("swap", network, Batch(batch.images[:2], batch.labels[:2])) == 4


@pytest.mark.parametrize("name", ON_PATTERNS)
def test_a_network_without_relus_has_no_score(score: Score, build: Build, batch: Batch, name: str) -> None:
    with pytest.raises(ScoreUndefined, match="the network has no ReLU"):
        score(name, build(lambda: [nn.Conv2d(3, 3, 1), nn.Sigmoid()]), batch)


def test_meco_of_independent_channels_is_their_smallest_correlation(
    score: Score, network: Network, batch: Batch
) -> None:
    """The identity on a Gaussian image: lambda_min of a sample correlation (3, 3) from 4,096 pixels: 1 - O(1 / 64)."""
    large = replace(batch, images=torch.empty(1, 3, 64, 64))
    assert score("meco", network, large) == pytest.approx(1, abs=0.06)


def test_meco_of_equal_channels_is_0(score: Score, build: Build, batch: Batch) -> None:
    network = build(lambda: [nn.Conv2d(3, 5, 3, bias=False)])
    with torch.no_grad():
        network.features.get_parameter("0.weight").fill_(1)
    assert score("meco", network, batch) == pytest.approx(0, abs=1e-12)


def test_the_code_counts_layers_more_than_once_in_meco(score: Score, network: Network, batch: Batch) -> None:
    """Counted are the convolution, its ReLU, the features with both, the flattened logits and the head, the network."""
    large = replace(batch, images=torch.empty(1, 3, 64, 64))
    once, code = score("meco", network, large), score("meco", network, large, mode="reference")
    assert code > 2 * once


def test_meco_needs_a_convolution(score: Score, build: Build, batch: Batch) -> None:
    with pytest.raises(ScoreUndefined, match="no convolution"):
        score("meco", build(lambda: [nn.ReLU()]), batch)


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@pytest.mark.parametrize(("factor", "s"), [(-1, 1), (2, 2), (0.5, 0.5)])
def test_az_trainability_of_a_scaling(score: Score, build: Build, batch: Batch, factor: float, s: float) -> None:
    """On one channel g_in^T g_out / (N H W) is the factor itself."""
    network = build(lambda: [nn.Conv2d(3, 1, 1), Times(factor)])
    assert score("az_trainability", network, batch) == pytest.approx(2 - s - 1 / (s + 1e-6), abs=1e-5)


def test_az_trainability_skips_identities(score: Score, build: Build, batch: Batch) -> None:
    network = build(lambda: [nn.Conv2d(3, 1, 1), Times(2), nn.Identity()])
    assert score("az_trainability", network, batch) == pytest.approx(-0.5, abs=1e-5)
    with pytest.raises(ScoreUndefined, match="identity"):
        score("az_trainability", network, batch, mode="reference")


def test_az_trainability_unshuffles_a_stride(score: Score, build: Build, batch: Batch) -> None:
    """Keeping one of four pixels is an isometry onto them: s = 1 within the noise of (4, 1) correlations."""
    network = build(lambda: [nn.Conv2d(3, 1, 1), nn.MaxPool2d(1, 2)])
    assert score("az_trainability", network, batch) == pytest.approx(0, abs=1e-5)


def test_az_trainability_of_a_resolution_that_does_not_divide(score: Score, build: Build, batch: Batch) -> None:
    network = build(lambda: [nn.Conv2d(3, 1, 1), nn.AdaptiveAvgPool2d(3)])
    with pytest.raises(ScoreUndefined, match="by an integer factor"):
        score("az_trainability", network, batch)


def channels(*weights: list[list[float]]) -> Callable[[Build], Network]:
    def make(build: Build) -> Network:
        shapes = [torch.tensor(w)[:, :, None, None] for w in weights]
        network = build(lambda: [nn.Conv2d(w.shape[1], w.shape[0], 1, bias=False) for w in shapes])
        with torch.no_grad():
            for i, weight in enumerate(shapes):
                network.features.get_parameter(f"{i}.weight").copy_(weight)
        return network

    return make


IDENTITY: list[list[float]] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_az_expressivity_of_independent_channels_is_the_log_of_their_number(
    score: Score, build: Build, batch: Batch
) -> None:
    network = channels(IDENTITY, IDENTITY[:2])(build)
    assert score("az_expressivity", network, batch) == pytest.approx(math.log(3) + math.log(2), abs=0.02)


def test_az_progressivity_is_the_smallest_growth(score: Score, build: Build, batch: Batch) -> None:
    """The entropies are log 3, 0 (one direction remains) and 0, so the smallest growth is -log 3."""
    network = channels(IDENTITY, [[1.0, 1, 1], [2, 2, 2]], [[1.0, 0], [0, 1]])(build)
    assert score("az_progressivity", network, batch) == pytest.approx(-math.log(3), abs=0.02)


def test_az_nas_needs_two_blocks(score: Score, build: Build, batch: Batch) -> None:
    for name in ("az_expressivity", "az_progressivity", "az_trainability"):
        with pytest.raises(ScoreUndefined, match="at least two blocks, but have 1"):
            score(name, build(lambda: [nn.Conv2d(3, 3, 1)]), batch)
