"""Gradient scores of a linear classifier, for which dL/dW = (softmax(W x) - y)^T x / N."""

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
LOSS_SCORES = ["snip", "plain", "grad_norm", "fisher", "grasp", "gradsign", "zico"]


def linear() -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(48, 3, bias=False)]


def no_features() -> list[nn.Module]:
    return []


@pytest.fixture
def network(build: Build) -> Network:
    return build(no_features, linear)


@pytest.fixture
def x(batch: Batch) -> np.ndarray:
    rows: np.ndarray = batch.images.flatten(1).double().numpy()
    return rows


@pytest.fixture
def w(network: Network) -> np.ndarray:
    weight: np.ndarray = network.head.get_parameter("1.weight").detach().double().numpy()
    return weight


def residuals(w: np.ndarray, x: np.ndarray, labels: Tensor) -> np.ndarray:
    """Return softmax(W x) - y, (N, K)."""
    powers = np.exp(x @ w.T)
    difference: np.ndarray = powers / powers.sum(1, keepdims=True) - np.eye(3)[labels.numpy()]
    return difference


def gradient(w: np.ndarray, x: np.ndarray, labels: Tensor) -> np.ndarray:
    rows: np.ndarray = residuals(w, x, labels).T @ x / len(x)
    return rows


def test_snip(score: Score, network: Network, batch: Batch, w: np.ndarray, x: np.ndarray) -> None:
    expected = np.abs(w * gradient(w, x, batch.labels)).sum()
    assert score("snip", network, batch) == pytest.approx(expected, rel=1e-5)


def test_plain(score: Score, network: Network, batch: Batch, w: np.ndarray, x: np.ndarray) -> None:
    expected = (w * gradient(w, x, batch.labels)).sum()
    assert score("plain", network, batch) == pytest.approx(expected, rel=1e-4)


def test_grad_norm(score: Score, network: Network, batch: Batch, w: np.ndarray, x: np.ndarray) -> None:
    expected = np.linalg.norm(gradient(w, x, batch.labels))
    assert score("grad_norm", network, batch) == pytest.approx(expected, rel=1e-5)


def test_grasp(score: Score, network: Network, batch: Batch, w: np.ndarray, x: np.ndarray) -> None:
    """The expected H g comes from central differences of the closed-form gradient."""
    g, step = gradient(w, x, batch.labels), 1e-5
    ahead, behind = (gradient(w + sign * step * g, x, batch.labels) for sign in (1, -1))
    expected = -(w * (ahead - behind) / (2 * step)).sum()
    assert score("grasp", network, batch) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("mode", "fan_in"), [("paper", 1), ("reference", 48)])
def test_fisher(
    score: Score, network: Network, batch: Batch, w: np.ndarray, x: np.ndarray, mode: str, fan_in: int
) -> None:
    """The layer's outputs are the logits: Delta_k = 1/2 mean_n (a_nk (p - y)_nk / N)^2."""
    products = (x @ w.T) * residuals(w, x, batch.labels) / len(x)
    expected = fan_in * (products**2).mean(0).sum() / 2
    assert score("fisher", network, batch, mode=mode) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("mode", ["paper", "reference"])
def test_gradsign(score: Score, network: Network, batch: Batch, w: np.ndarray, x: np.ndarray, mode: str) -> None:
    rows = np.einsum("nk,nd->nkd", residuals(w, x, batch.labels), x)
    assert score("gradsign", network, batch, mode=mode) == np.abs(np.sign(rows).sum(0)).sum()


def test_gradsign_of_equal_images_is_their_number_times_the_weights(
    score: Score, network: Network, batch: Batch
) -> None:
    equal = Batch(batch.images[:1].expand(6, -1, -1, -1), batch.labels[:1].expand(6))
    assert score("gradsign", network, equal) == 6 * 48 * 3
    for mode in ("paper", "reference"):
        assert score("gradsign", network, equal, mode=mode, over_weights="mean") == pytest.approx(6)


@pytest.mark.parametrize("mode", ["paper", "reference"])
@pytest.mark.parametrize(("precision", "error"), [("float32", 1e-3), ("float64", 1e-10)])
def test_zico(
    score: Score, network: Network, batch: Batch, w: np.ndarray, x: np.ndarray, mode: str, precision: str, error: float
) -> None:
    first, second = (gradient(w, x[part], batch.labels[part]) for part in (slice(3), slice(3, None)))
    spread = np.abs(first - second) if mode == "reference" else np.abs(np.abs(first) - np.abs(second))
    expected = math.log(((np.abs(first) + np.abs(second)) / spread).sum())
    assert score("zico", network, batch, mode=mode, precision=precision) == pytest.approx(expected, rel=error)


def test_zico_of_opposite_gradients_counts_1_for_each_weight(score: Score, network: Network, batch: Batch) -> None:
    """(|g_1| + |g_2|) / |g_1 - g_2| = 1 exactly where the signs differ: 144 weights, one layer."""
    with torch.no_grad():
        network.head.get_parameter("1.weight").zero_()
    images = batch.images[:2].repeat(2, 1, 1, 1) * torch.tensor([1, 1, -1, -1])[:, None, None, None]
    opposite = Batch(images, torch.tensor([0, 1, 0, 1]))
    assert score("zico", network, opposite, mode="reference") == pytest.approx(math.log(144), rel=1e-5)


@pytest.mark.parametrize("mode", ["paper", "reference"])
def test_zico_of_equal_halves_is_undefined(score: Score, network: Network, batch: Batch, mode: str) -> None:
    equal = Batch(batch.images[:3].repeat(2, 1, 1, 1), batch.labels[:3].repeat(2))
    with pytest.raises(ScoreUndefined, match="no gradient differs"):
        score("zico", network, equal, mode=mode)


@pytest.mark.parametrize("count", [3, 2])
def test_zico_needs_two_halves(score: Score, network: Network, batch: Batch, count: int) -> None:
    with pytest.raises(ScoreUndefined, match=f"even number of images, at least 4, but has {count}"):
        score("zico", network, Batch(batch.images[:count], batch.labels[:count]))


def relu_stack() -> list[nn.Module]:
    return [nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(8, 8, 1, bias=False), nn.ReLU()]


def pooled() -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3, bias=False)]


def test_plain_is_conserved_from_layer_to_layer(score: Score, build: Build, batch: Batch) -> None:
    """Without biases and norms theta dL/dtheta is f dL/df for each of the L = 3 layers."""
    network = build(relu_stack, pooled)
    with torch.no_grad():
        logits = network(batch.images).double().numpy()
    powers = np.exp(logits)
    difference = powers / powers.sum(1, keepdims=True) - np.eye(3)[batch.labels.numpy()]
    expected = 3 * (logits * difference).sum() / len(logits)
    assert score("plain", network, batch) == pytest.approx(expected, rel=1e-4)


def test_synflow_of_a_chain_is_its_output_times_its_layers(score: Score, build: Build, batch: Batch) -> None:
    network = build(relu_stack, pooled)
    with torch.no_grad():
        positive = build(relu_stack, pooled)
        for parameter in positive.parameters():
            parameter.abs_()
        output = float(positive(torch.ones(1, 3, 4, 4)).sum())
    assert score("synflow", network, batch) == pytest.approx(math.log(3 * output), rel=1e-6)
    assert score("synflow", network, batch, mode="reference") == pytest.approx(3 * output, rel=1e-6)


def test_norms_do_not_count_in_synflow(score: Score, build: Build, batch: Batch) -> None:
    with_norms = build(lambda: [*relu_stack()[:1], nn.BatchNorm2d(8), *relu_stack()[1:]], pooled)
    assert score("synflow", with_norms, batch) == score("synflow", build(relu_stack, pooled), batch)
    assert score("synflow", with_norms, batch, norms=True) != score("synflow", with_norms, batch)


def test_logsynflow(score: Score, network: Network, batch: Batch, w: np.ndarray) -> None:
    """R = sum |W| for an image of ones: dR/d|W| = 1, so sum |W| log 2."""
    assert score("logsynflow", network, batch) == pytest.approx(np.abs(w).sum() * math.log(2), rel=1e-6)


def test_an_overflowing_flow_is_undefined(score: Score, build: Build, batch: Batch) -> None:
    network = build(lambda: [nn.Conv2d(3, 3, 1, bias=False) for _ in range(12)])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1e30)
    with pytest.raises(ScoreUndefined, match="overflows float64"):
        score("synflow", network, batch)


def test_jacob_cov_of_a_linear_network(score: Score, network: Network, batch: Batch) -> None:
    """All rows of the Jacobian are equal: eigenvalues N and N - 1 times 0."""
    n, k = len(batch.images), 1e-5
    expected = -(math.log(n + k) + 1 / (n + k)) - (n - 1) * (math.log(k) + 1 / k)
    assert score("jacob_cov", network, batch) == pytest.approx(expected, rel=1e-4)


def test_epe_nas_of_a_linear_network(score: Score, network: Network, batch: Batch) -> None:
    """All correlations are 1: n_c^2 log(1 + k) for each of three classes of two images."""
    assert score("epe_nas", network, batch) == pytest.approx(3 * 4 * math.log(1 + 1e-5), rel=1e-6)


def test_epe_nas_compares_many_classes(score: Score, build: Build, batch: Batch) -> None:
    """Classes of 2, 3 and 1 equal rows: s_c / n_c = n_c log(1 + k), and the last one is left out."""
    network = build(no_features, lambda: [nn.Flatten(), nn.Linear(48, 101)])
    uneven = replace(batch, labels=torch.tensor([0, 0, 7, 7, 7, 100]))
    means = [n * math.log(1 + 1e-5) for n in (2, 3)]
    expected = sum(abs(a - b) for a in means for b in means) / 2
    assert score("epe_nas", network, uneven) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ScoreUndefined, match="fewer than two classes"):
        score("epe_nas", network, replace(batch, labels=torch.tensor([0, 0, 7, 8, 9, 100])))


def test_epe_nas_of_120_classes_is_that_of_the_published_code(score: Score, build: Build) -> None:
    """The steps of NASLib's `eval_score_perclass`, whose division by `len` fails on a class of one image."""
    network = build(no_features, lambda: [nn.Flatten(), nn.Linear(48, 64), nn.Tanh(), nn.Linear(64, 120)])
    images = torch.randn(32, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(32) % 20  # classes 0 to 11 have two images, the others one
    leaf = images.clone().requires_grad_()
    (rows,) = torch.autograd.grad(network(leaf).sum(), leaf)
    means = []
    for label in set(labels.tolist()):
        correlation = np.corrcoef(rows[labels == label].flatten(1).double().numpy())
        if correlation.ndim:
            means.append(np.log(np.abs(correlation) + 1e-5).sum() / len(correlation))
    expected = sum(abs(a - b) for a in means for b in means) / len(means)
    assert len(means) == 12
    assert score("epe_nas", network, Batch(images, labels)) == pytest.approx(expected, rel=1e-3)


def test_epe_nas_needs_a_class_with_two_images(score: Score, network: Network, batch: Batch) -> None:
    with pytest.raises(ScoreUndefined, match="no class has two images"):
        score("epe_nas", network, Batch(batch.images[:3], batch.labels[:3]))


@pytest.mark.parametrize("name", LOSS_SCORES)
def test_a_network_without_weights_has_no_score(score: Score, build: Build, batch: Batch, name: str) -> None:
    network = build(no_features, lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten()])
    with pytest.raises(ScoreUndefined):
        score(name, network, batch)


def test_l2_norm(score: Score, build: Build, batch: Batch) -> None:
    network = build(relu_stack, pooled)
    expected = sum(np.linalg.norm(p.detach().double().numpy()) for p in network.parameters())
    assert score("l2_norm", network, batch) == pytest.approx(expected, rel=1e-6)
