from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.proxies._gradient_mean import GradientMean
from zenfront.pipeline.proxies._per_image import FirstLayer, PerImageGradients
from zenfront.pipeline.seeds import torch_generator
from zenfront.spaces import Network

Score = Callable[..., float]
Build = Callable[..., Network]
METHODS = ("fast", "exact")


def linear() -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(48, 5)]


def no_features() -> list[nn.Module]:
    return []


def one_norm() -> list[nn.Module]:
    return [nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()]


def norm_relu() -> list[nn.Module]:
    return [nn.BatchNorm2d(6), nn.ReLU()]


def pooled() -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)]


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_classifier_has_the_condition_number_of_its_inputs(
    score: Score, build: Build, batch: Batch, method: str
) -> None:
    rows = batch.images.flatten(1).double().numpy()
    value = score("ntk", build(no_features, linear), batch, method=method, precision="float64")
    assert value == pytest.approx(np.linalg.cond(rows @ rows.T), rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_orthogonal_inputs_of_one_length_give_1(score: Score, build: Build, batch: Batch, method: str) -> None:
    images = 3 * torch.eye(48)[:6].reshape(6, 3, 4, 4)
    value = score("ntk", build(no_features, linear), replace(batch, images=images), method=method)
    assert value == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_equal_images_make_it_singular(score: Score, build: Build, batch: Batch, method: str) -> None:
    images = torch.cat([batch.images[:3], batch.images[:3]])
    with pytest.raises(ScoreUndefined, match="singular"):
        score("ntk", build(one_norm, pooled), replace(batch, images=images), method=method)


@pytest.mark.parametrize("method", METHODS)
def test_the_scale_of_the_images_does_not_count(score: Score, build: Build, batch: Batch, method: str) -> None:
    network = build(no_features, linear)
    values = [
        score("ntk", network, replace(batch, images=s * batch.images), method=method, precision="float64")
        for s in (1, 8)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-9)


def test_with_one_batch_norm_nothing_is_neglected(score: Score, build: Build, batch: Batch) -> None:
    """The change of the batch statistics stays within the layer, so both methods are exact."""
    network = build(one_norm, pooled)
    fast, exact = (score("ntk", network, batch, method=method, precision="float64") for method in METHODS)
    assert fast == pytest.approx(exact, rel=1e-8)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(torch.relu(self.conv(x)))
        return y


class Excited(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc(x.mean((2, 3))))[:, :, None, None]


class ReadsTheConvolutionTwice(nn.Module):
    """A block whose convolution feeds more than its batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(x)
        return torch.cat([self.norm(z)[:, :3], z[:, 3:]], dim=1)


class NormsTheConvolutionTwice(ReadsTheConvolutionTwice):
    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(x)
        y: Tensor = self.norm(z) + torch.relu(self.norm(z))
        return y


LAYERS: dict[str, Callable[[], list[nn.Module]]] = {
    "grouped": lambda: [nn.Conv2d(6, 6, 3, 2, 1, groups=3)],
    "depthwise": lambda: [nn.Conv2d(6, 6, 5, padding=2, groups=6, bias=False)],
    "more filters a group": lambda: [nn.Conv2d(6, 12, 3, padding=1, groups=3), nn.Conv2d(12, 6, 1)],
    "dilated": lambda: [nn.Conv2d(6, 6, 3, padding=2, dilation=2)],
    "strided pointwise": lambda: [nn.Conv2d(6, 6, 1, 2)],
    "padded pointwise": lambda: [nn.Conv2d(6, 6, 1, padding=1)],
    "oblong": lambda: [nn.Conv2d(6, 6, (1, 3), (1, 2), (0, 1))],
    "padding by name": lambda: [nn.Conv2d(6, 6, 3, padding="same"), nn.Conv2d(6, 6, 2, padding="valid")],
    "used twice": lambda: [Twice()],
    "squeeze-and-excitation": lambda: [Excited()],
    "norm without parameters": lambda: [nn.BatchNorm2d(6, affine=False)],
    "convolution with a norm, and without": lambda: [ReadsTheConvolutionTwice()],
    "convolution with two norms": lambda: [NormsTheConvolutionTwice()],
    "bias before a norm": lambda: [nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.ReLU()],
    "norm after a norm": lambda: [nn.BatchNorm2d(6)],
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("first", [one_norm, lambda: [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()]])
def test_layer_by_layer_is_exact_with_running_statistics(
    score: Score, build: Build, batch: Batch, name: str, first: Callable[[], list[nn.Module]]
) -> None:
    network = build(lambda: [*first(), *LAYERS[name]()], pooled)
    fast, exact = (
        score("ntk", network, batch, method=method, statistics="eval", precision="float64") for method in METHODS
    )
    assert fast == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("name", ["grouped", "depthwise", "dilated", "oblong"])
def test_all_images_in_one_convolution_are_the_same_as_one_by_one(
    score: Score, build: Build, batch: Batch, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build(lambda: [*one_norm(), *LAYERS[name]()], pooled)
    together = score("ntk", network, batch)
    monkeypatch.setattr("zenfront.pipeline.proxies._patches.SMALL", 0)
    assert score("ntk", network, batch) == pytest.approx(together, rel=1e-3)


def test_in_a_deep_network_the_mean_of_the_gradients_is_extrapolated(
    score: Score, build: Build, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backward pass of the batch ends after 17 of 43 layers; without its result, the value is far off."""
    deep = lambda: [*one_norm(), *(layer for _ in range(20) for layer in (nn.Conv2d(6, 6, 3, padding=1), *norm_relu()))]  # noqa: E731
    network = build(deep, pooled)
    fast, exact = (score("ntk", network, batch, method=method, precision="float64") for method in METHODS)
    assert fast == pytest.approx(exact, rel=0.5)
    monkeypatch.setattr(GradientMean, "extrapolate", lambda self, rows: None)
    assert abs(score("ntk", network, batch, precision="float64") - exact) > 2 * abs(fast - exact)


def two_more_norms() -> list[nn.Module]:
    return [*one_norm(), *(layer for _ in range(2) for layer in (nn.Conv2d(6, 6, 3, padding=1), *norm_relu()))]


def first_layer(network: Network, images: Tensor) -> tuple[Tensor, Tensor, PerImageGradients, FirstLayer]:
    """Return the exact per-image gradients of the first convolution, ours, and the data of their correction."""
    network = network.train().double()
    logits = network(images).sum(1)
    weight = next(network.parameters())
    exact = [torch.autograd.grad(one, weight, retain_graph=True)[0] for one in logits]
    gradients = PerImageGradients(lambda rows: None, batch_statistics=True)
    with gradients:
        logits = network(images)
    first = gradients.backward(logits.sum())
    assert first is not None
    return torch.stack([e.permute(0, 2, 3, 1).flatten() for e in exact]), first.rows, gradients, first


@pytest.mark.parametrize("image", [1, 3])
def test_the_difference_of_two_images_gradients_in_the_first_layer_is_exact(
    build: Build, batch: Batch, image: int
) -> None:
    """All norms are near the first layer, which makes the correction exact."""
    exact, rows, gradients, first = first_layer(build(two_more_norms, pooled), batch.images.double())
    direction = torch.eye(len(rows), dtype=torch.float64)[image]
    direction[0] = -1
    difference = exact[image] - exact[0]
    assert float((direction @ rows - difference).norm()) > 0.01 * float(difference.norm())
    assert direction @ rows + gradients.missing_part(first, direction) == pytest.approx(difference, abs=1e-9)


def test_a_first_layer_without_gradient_needs_no_correction(build: Build, batch: Batch) -> None:
    network = build(two_more_norms, pooled)
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.eps = 1e30
    _, rows, gradients, first = first_layer(network, batch.images.double())
    assert float(gradients.missing_part(first, torch.ones(len(rows), dtype=torch.float64)).norm()) < 1e-9


class Beside(nn.Module):
    """A network with norms that are on no path from the first convolution to the output."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.unused = nn.BatchNorm2d(6)
        self.images = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.relu(self.conv(x))
        self.unused(z)
        return torch.cat([z[:, :3], self.images(x)], dim=1)


def test_norms_beside_the_first_layer_do_not_count(score: Score, build: Build, batch: Batch) -> None:
    network = build(lambda: [Beside()], pooled)
    fast, exact = (score("ntk", network, batch, method=method, precision="float64") for method in METHODS)
    assert fast == pytest.approx(exact, rel=1e-8)


def test_the_mean_of_rows_keeps_its_ratio_to_their_spread() -> None:
    generator = torch_generator(6, "rows")
    known, unknown = (torch.randn(4, 50, generator=generator) + 3 for _ in range(2))
    mean_row = GradientMean()
    mean_row.set(known, 4 * torch.full((1, 50), 0.1))
    assert known.mean(0) == pytest.approx(torch.full((50,), 0.1), abs=1e-6)
    before = unknown.clone()
    mean_row.extrapolate(unknown)
    parts = [rows.mean(0).square().sum() / (rows - rows.mean(0)).square().sum() for rows in (known, unknown)]
    assert float(parts[0]) == pytest.approx(float(parts[1]), rel=1e-3)
    directions = [rows.mean(0) / rows.mean(0).norm() for rows in (before, unknown)]
    assert float(directions[0] @ directions[1]) == pytest.approx(1)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(6, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def test_a_layer_that_the_fast_method_does_not_support_is_an_error(score: Score, build: Build, batch: Batch) -> None:
    network = build(one_norm, pooled)
    assert isinstance(network.features, nn.Sequential)
    network.features.append(Scaled())
    with pytest.raises(NotImplementedError, match="use method='exact'"):
        score("ntk", network, batch)
    assert score("ntk", network, batch, method="exact") > 1
