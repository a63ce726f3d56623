"""The initialisation of a network, and networks without their auxiliaries."""

import math

import pytest
import torch
from torch import Tensor, nn

from zenfront.spaces import Auxiliary, Init, Network, initialise, without_auxiliaries
from zenfront.spaces._blocks import Residual, SqueezeExcitation
from zenfront.spaces._layers import BatchNorm2d, Conv2d


def network() -> Network:
    features = nn.Sequential(nn.Conv2d(16, 64, 5), nn.BatchNorm2d(64), nn.ReLU())
    return Network(features, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 300)))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(init: Init, device: str = "meta") -> tuple[nn.Conv2d, nn.BatchNorm2d, nn.Linear]:
    with torch.device(device):
        made = network()
    modules = list(initialise(made, generator(), init).modules())
    conv, norm, linear = (next(m for m in modules if isinstance(m, k)) for k in (nn.Conv2d, nn.BatchNorm2d, nn.Linear))
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(linear, nn.Linear)
    return conv, norm, linear


@pytest.mark.parametrize(("init", "std"), [("kaiming", math.sqrt(2 / 400)), ("gaussian", 1.0)])
def test_normal_weights_and_zero_biases(init: Init, std: float) -> None:
    conv, _, linear = weights(init)
    assert conv.weight.std().item() == pytest.approx(std, rel=0.02)
    assert conv.weight.mean().item() == pytest.approx(0, abs=0.02 * std)
    assert linear.weight.std().item() == pytest.approx(1.0 if init == "gaussian" else math.sqrt(2 / 64), rel=0.02)
    assert conv.bias is not None
    assert not conv.bias.any()
    assert not linear.bias.any()


def test_default_weights_are_torchs_uniform_ones() -> None:
    conv, _, linear = weights("default")
    for layer, fan_in in ((conv, 400), (linear, 64)):
        bound = 1 / math.sqrt(fan_in)
        for values in (layer.weight, layer.bias):
            assert values is not None
            assert values.abs().max().item() <= bound
            assert values.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.2)
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_norms_are_fresh() -> None:
    _, norm, _ = weights("gaussian")
    assert torch.equal(norm.weight, torch.ones(64))
    assert torch.equal(norm.bias, torch.zeros(64))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert torch.equal(norm.running_mean, torch.zeros(64))
    assert torch.equal(norm.running_var, torch.ones(64))


def test_weights_depend_on_the_generator_alone() -> None:
    with torch.device("meta"):
        fresh, other = network(), network()
        third = network()
    used = initialise(third, generator(5))
    used(torch.randn(2, 16, 8, 8, generator=generator()))
    states = [initialise(one, generator(7)).state_dict() for one in (fresh, used)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(initialise(other, generator(8)).state_dict()["head.2.weight"], states[0]["head.2.weight"])


def test_an_unknown_layer_is_a_type_error() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.factor

    with pytest.raises(TypeError, match="Scale"):
        initialise(Network(Scale(), nn.Identity()), generator())


def test_without_auxiliaries_for_as_long_as_the_block_lasts() -> None:
    with torch.device("meta"):
        double, squeeze = Residual(nn.Identity(), nn.Identity()), SqueezeExcitation(2, 1)
    both = initialise(Network(nn.Sequential(double, squeeze), nn.Identity()), generator())
    for parameter in both.parameters():
        nn.init.zeros_(parameter)
    x = torch.ones(1, 2, 3, 3)
    assert torch.equal(both(x), x)  # 2 x from the shortcut, sigmoid(0) = 1/2
    with without_auxiliaries(both):
        assert torch.equal(both(x), x)
        assert not any(module.active for module in both.modules() if isinstance(module, Auxiliary))
        assert torch.equal(double(3 * x), 3 * x)
    assert torch.equal(double(3 * x), 6 * x)
    with pytest.raises(RuntimeError, match="inside"), without_auxiliaries(both):
        raise RuntimeError("inside")
    assert double.active
    assert squeeze.active


@pytest.mark.global_rng
def test_layers_off_the_meta_device_start_as_torchs() -> None:
    torch_layers, layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), (Conv2d(3, 4, 3), BatchNorm2d(4))
    bound = 1 / math.sqrt(27)
    assert 0 < layers[0].weight.abs().max().item() <= bound
    assert all(
        torch.equal(a, b)
        for a, b in zip(torch_layers[1].state_dict().values(), layers[1].state_dict().values(), strict=True)
    )
