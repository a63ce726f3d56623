"""SynFlow's single float32 pass gives the float64 value; float64 replaces it where it cannot."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from zenfront.pipeline import proxies
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.proxies._forward_mode_flow import log_synflow
from zenfront.spaces import Network, Residual, initialise

BATCH = Batch(torch.zeros(1, 3, 8, 8), torch.zeros(1, dtype=torch.long))


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Shifted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.full((2, 1, 1, 1), -1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


def network(middle: nn.Module, factor: float = 1.0) -> Network:
    """A network with biases, groups, a norm, a shortcut, and `middle` on 6 channels of 8 x 8."""
    with torch.device("meta"):
        branch = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1, groups=2), nn.BatchNorm2d(6))
        features = nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1), middle, Residual(branch, nn.Identity()), nn.ReLU())
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
    made = initialise(Network(features, head), torch.Generator().manual_seed(0), "default")
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, nn.Conv2d):
                module.weight *= factor
    return made.eval()


def score(made: Network, precision: str) -> float:
    return proxies.load("synflow").score(made, BATCH, torch.Generator().manual_seed(0), precision=precision)


def in_float32(made: Network) -> float | None:
    return log_synflow(made.eval(), BATCH)


SAME = {
    "nothing": lambda x: x,
    "half": lambda x: x * 0.5,
    "cat": lambda x: torch.cat([x[:, 3:], x[:, :3]], 1),
    "max_pool": lambda x: nn.functional.max_pool2d(x, 3, 2, 1),
    "avg_pool": lambda x: nn.functional.avg_pool2d(x, 2),
    "pad": lambda x: nn.functional.pad(x, (1, 1, 1, 1)),
    "relu in place": lambda x: nn.functional.relu(x, inplace=True),
}
OTHER = {
    "gate": lambda x: x * torch.sigmoid(x),
    "constant": lambda x: x + 1,
    "tensor": lambda x: x + torch.ones(6, 8, 8, dtype=x.dtype),
    "negative": lambda x: x * -1.0,
    "difference": lambda x: torch.add(x, x.flip(2), alpha=-1),
    "padded": lambda x: nn.functional.pad(x, (1, 1, 1, 1), value=1.0),
    "clamped": nn.functional.relu6,
    "of the batch": lambda x: x + x.mean((0, 2, 3), keepdim=True),
}


@pytest.mark.parametrize("name", SAME)
def test_it_is_the_value_in_float64(name: str) -> None:
    made = network(Calls(SAME[name]))
    assert in_float32(made) == pytest.approx(score(made, "float64"), abs=1e-6)


@pytest.mark.parametrize("name", OTHER)
def test_a_function_that_is_not_homogeneous_is_left_to_float64(name: str) -> None:
    assert in_float32(network(Calls(OTHER[name]))) is None


def test_an_added_parameter_is_left_to_float64() -> None:
    made = network(nn.Identity())
    made.features = nn.Sequential(made.features, Shifted())
    assert in_float32(made) is None


@pytest.mark.parametrize("factor", [1e-8, 1e25])
def test_a_flow_outside_the_range_is_left_to_float64(factor: float) -> None:
    made = network(nn.Sequential(*(nn.Conv2d(6, 6, 1, bias=False, device="meta") for _ in range(2))), factor)
    assert in_float32(made) is None
    assert score(made, "float32") == score(made, "float64")


def test_a_network_whose_logits_are_a_bias_has_no_flow() -> None:
    made = network(nn.Identity())
    made.features = nn.Sequential(made.features, Calls(lambda x: x * 0.0))
    assert in_float32(made) is None


def test_a_gate_counts() -> None:
    made = network(Calls(OTHER["gate"]))
    assert score(made, "float32") == score(made, "float64") != score(network(nn.Identity()), "float64")
