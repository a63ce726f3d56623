"""Invariances and bounds of scores."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zenfront.pipeline import proxies
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.seeds import torch_generator
from zenfront.spaces import Network, initialise

N, CLASSES = 6, 3
# Scores of the batch as a set. (ZiCo compares its halves; linear regions are those of random crops.)
OF_THE_SET = [
    "ntk",
    "naswot",
    "snip",
    "plain",
    "grasp",
    "fisher",
    "grad_norm",
    "jacob_cov",
    "epe_nas",
    "gradsign",
    "swap",
]
SEEDS = st.integers(0, 2**32)


def network(seed: int, *, norm: bool = True) -> Network:
    """A network of two convolutions with BN (or biases) and ReLU, pooling, and a linear layer."""
    with torch.device("meta"):
        layers: list[nn.Module] = []
        for w_in, w_out in ((3, 6), (6, 8)):
            layers += [nn.Conv2d(w_in, w_out, 3, padding=1, bias=not norm)]
            layers += [nn.BatchNorm2d(w_out), nn.ReLU()] if norm else [nn.ReLU()]
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES))
        made = Network(nn.Sequential(*layers), head)
    return initialise(made, torch_generator(seed, "weights"), "kaiming")


def batch(seed: int) -> Batch:
    images = torch.randn(N, 3, 5, 5, generator=torch_generator(seed, "images"))
    return Batch(images, torch.arange(N) % CLASSES)


def score(name: str, made: Network, images: Batch, **options: object) -> float:
    return proxies.load(name).score(made, images, torch_generator(0, "score"), **options)


@pytest.mark.parametrize("name", OF_THE_SET)
@given(seed=SEEDS, order=st.permutations(range(N)))
@settings(max_examples=15, deadline=None)
def test_the_order_of_the_images_does_not_count(name: str, seed: int, order: list[int]) -> None:
    made, images = network(seed), batch(seed)
    shuffled = Batch(images.images[order], images.labels[order])
    options = {"precision": "float64"} if name == "ntk" else {}
    # The order of summation changes; plain is a difference of large sums, about 1 beside rounding errors of 1e-6.
    assert score(name, made, images, **options) == pytest.approx(
        score(name, made, shuffled, **options), rel=2e-3, abs=1e-4
    )


@given(seed=SEEDS, power=st.integers(-6, 6))
@settings(max_examples=25, deadline=None)
def test_the_scale_of_the_weights_before_a_norm_counts_in_zen_by_its_logarithm(seed: int, power: int) -> None:
    """Powers of two scale without rounding; the eps of the norm is 1e-5 beside variances above 1e-3."""
    made = network(seed)
    with torch.no_grad():
        made.features.get_parameter("0.weight").normal_(generator=torch_generator(seed, "gaussian"))
        made.features.get_parameter("3.weight").normal_(generator=torch_generator(seed, "gaussian"))
        before = score("zen", made, batch(seed), precision="float64")
        made.features.get_parameter("3.weight").mul_(2.0**power)
    after = score("zen", made, batch(seed), precision="float64")
    assert after - before == pytest.approx(power * math.log(2), abs=0.02)


@given(seed=SEEDS, power=st.integers(-4, 4))
@settings(max_examples=15, deadline=None)
def test_the_scale_of_the_images_does_not_count_without_biases(seed: int, power: int) -> None:
    """BN directly follows the first convolution (its eps is 1e-5, beside a variance of at least 1e-3)."""
    made, images = network(seed), batch(seed)
    scaled = replace(images, images=images.images * 2.0**power)
    for name in ("naswot", "snip"):
        assert score(name, made, scaled) == pytest.approx(score(name, made, images), rel=0.02)


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_scores_keep_their_bounds(seed: int) -> None:
    made, images = network(seed, norm=seed % 2 == 0), batch(seed)
    assert score("ntk", made, images) >= 1
    assert score("snip", made, images) >= abs(score("plain", made, images))
    # The eigenvalues of a correlation sum to N, and log v + 1 / v >= 1.
    assert score("jacob_cov", made, images) <= -N + 1e-3
    # Hadamard: det K <= prod K_ii.
    units = 25 * (6 + 8)
    assert score("naswot", made, images) <= N * math.log(units)
    assert 1 <= score("linear_regions", made, images, samples=50) <= 50
    assert 1 <= score("swap", made, images) <= 2**N
    assert 0 < score("gradsign", made, images) <= N * sum(p.numel() for p in made.parameters())
    assert 0 <= score("az_expressivity", made, images) <= sum(map(math.log, (6, 8))) * 3
    assert score("az_trainability", made, images) <= 1e-5


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_the_fast_kernel_is_near_the_exact_one(seed: int) -> None:
    """With two batch norms, the approximation changes kappa by less than a factor of 1.5 (kappa is 2 to 200)."""
    made, images = network(seed), batch(seed)
    ratio = score("ntk", made, images, precision="float64") / score(
        "ntk", made, images, method="exact", precision="float64"
    )
    assert 1 / 1.5 < ratio < 1.5


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_without_norms_the_fast_kernel_is_exact(seed: int) -> None:
    made, images = network(seed, norm=False), batch(seed)
    values = [score("ntk", made, images, method=method, precision="float64") for method in ("fast", "exact")]
    assert np.log(values[0] / values[1]) == pytest.approx(0, abs=1e-6)
