"""Reference mode reproduces the authors' own code within the tolerance of the golden values."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from zenfront.pipeline import proxies
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.proxies import zen as zen_module
from zenfront.pipeline.proxies._state import borrowed, fresh_statistics, parameters_of
from zenfront.spaces import Network

REFERENCE: dict[str, Any] = {"mode": "reference"}
# Golden value: (proxy, options, relative tolerance of the golden values' README).
SCORES: dict[str, tuple[str, dict[str, Any], float]] = {
    "linear_regions": ("linear_regions", REFERENCE, 0),
    "naswot": ("naswot", {}, 1e-6),
    "grad_norm": ("grad_norm", {}, 1e-3),
    "snip": ("snip", {}, 1e-3),
    "plain": ("plain", {}, 1e-3),
    "grasp": ("grasp", {}, 1e-3),
    "fisher": ("fisher", REFERENCE, 1e-3),
    "jacob_cov": ("jacob_cov", {}, 1e-2),
    "synflow": ("synflow", REFERENCE, 1e-3),
    "synflow_bn": ("synflow", {**REFERENCE, "norms": True}, 1e-3),
}
KERNELS = [(statistics, precision) for statistics in ("train", "eval") for precision in ("float32", "float64")]


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch, arrays: dict[str, Tensor]) -> None:
    """Replace the two draws of Zen by the golden inputs."""
    draws = iter([arrays["inputs/0"], arrays["inputs/1"]])
    monkeypatch.setattr(zen_module, "gaussian", lambda *_: next(draws))


@pytest.mark.parametrize("score", SCORES)
def test_one_batch(
    score: str, network: Network, golden: dict[str, float], batch: Batch, generator: torch.Generator
) -> None:
    name, options, tolerance = SCORES[score]
    value = proxies.load(name).score(network, batch, generator, **options)
    assert value == pytest.approx(golden[score], rel=tolerance, abs=0)


def test_zico_on_two_batches(
    network: Network, golden: dict[str, float], both_batches: Batch, generator: torch.Generator
) -> None:
    value = proxies.load("zico").score(network, both_batches, generator, mode="reference")
    assert value == pytest.approx(golden["zico"], rel=1e-3)


@pytest.mark.usefixtures("noise")
def test_zen(network: Network, golden: dict[str, float], batch: Batch, generator: torch.Generator) -> None:
    value = proxies.load("zen").score(network, batch, generator, mode="reference")
    assert value == pytest.approx(golden["zen_reference"], rel=1e-3)


def test_the_batch_variances_of_zen_are_those_of_one_pass(
    network: Network, golden: dict[str, float], arrays: dict[str, Tensor], generator: torch.Generator
) -> None:
    """With momentum 1, a batch norm keeps the variance of the last pass, from which paper mode takes it."""
    x, perturbed = arrays["inputs/0"], arrays["inputs/0"] + 1e-2 * arrays["inputs/1"]
    parameters = parameters_of(network.features, torch.float32)
    with torch.no_grad(), borrowed(network, generator):
        y, variances = network.features(x), []
        with fresh_statistics(network, 1.0, x) as norms:
            y_perturbed = torch.func.functional_call(network.features, parameters, (perturbed,))
            variances = [norm.running_var for norm in norms if norm.running_var is not None]
    norm = (y - y_perturbed).abs().flatten(1).sum(1).mean()
    value = math.log(norm) + sum(math.log(variance.mean()) / 2 for variance in variances)
    assert value == pytest.approx(golden["zen_batch_var_of_second_pass"], rel=1e-3)


@pytest.mark.parametrize(("statistics", "precision"), KERNELS)
def test_ntk_row_by_row(
    network: Network,
    golden: dict[str, float],
    batch: Batch,
    generator: torch.Generator,
    statistics: str,
    precision: str,
) -> None:
    ntk = proxies.load("ntk").score
    value = ntk(network, batch, generator, method="exact", statistics=statistics, precision=precision)
    assert value == pytest.approx(golden[f"ntk_condition_number_{statistics}"], rel=1e-2)
    assert value == pytest.approx(golden[f"ntk_condition_number_{statistics}_float64"], rel=1e-6)


def test_ntk_layer_by_layer_is_exact_with_running_statistics(
    network: Network, golden: dict[str, float], batch: Batch, generator: torch.Generator
) -> None:
    value = proxies.load("ntk").score(network, batch, generator, statistics="eval", precision="float64")
    assert value == pytest.approx(golden["ntk_condition_number_eval_float64"], rel=1e-6)


def test_ntk_layer_by_layer_is_near_with_batch_statistics(
    network: Network, golden: dict[str, float], batch: Batch, generator: torch.Generator
) -> None:
    """The approximation changes kappa by at most 14 %; over these networks, kappa varies by a factor of 270."""
    value = proxies.load("ntk").score(network, batch, generator)
    assert value == pytest.approx(golden["ntk_condition_number_train_float64"], rel=0.2)


@pytest.mark.parametrize(("name", "key"), [("params", "params"), ("flops", "macs_conv_linear")])
def test_costs_on_the_meta_device(
    name: str, key: str, network: Network, golden: dict[str, float], batch: Batch, generator: torch.Generator
) -> None:
    assert proxies.load(name).score(network.to("meta"), batch.to("meta"), generator) == golden[key]
