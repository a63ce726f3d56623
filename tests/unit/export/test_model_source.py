"""Modules that a space of a user's own may build: written down, or refused with the reason."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.model_source import model_source
from zenfront.pipeline.export.subject import Preprocessing, Subject
from zenfront.spaces import Architecture, Network, Task

pytestmark = pytest.mark.global_rng  # layers and dropout have no other generator
TASK = Task(3, 8, 8, 4)


class Odd(nn.Module):
    """Parameters and buffers of its own, in-place sums, a layer called twice, keyword arguments, attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((6, 1, 1), 0.5))
        self.register_buffer("offset", torch.arange(6.0).reshape(6, 1, 1))
        self.conv = nn.Conv2d(6, 6, (1, 3), padding=(0, 1))
        self.act = nn.GELU(approximate="tanh")
        self.drop = nn.Dropout(0.25)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.conv(x))
        y += x
        z = (y * self.scale - self.offset) * 2
        rows = z.mean(dim=2, keepdim=True)
        both = torch.cat([z - (rows - x), z[:, :2].expand(-1, 2, x.shape[2], -1)], dim=1)
        return self.drop(self.act(both))  # type: ignore[no-any-return]


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.mix = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(self.norm(x)).transpose(2, 3) / torch.linalg.vector_norm(x, dim=1, keepdim=True)
        return x + mixed


def subject_of(features: nn.Module, head: nn.Module) -> Subject:
    network = Network(features, head).eval()
    return Subject(network, Architecture("mine", (("a", 1),)), 'a="""1\\', TASK, Preprocessing(3, 8, 8))


def head(width: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4))


@pytest.fixture
def odd() -> Subject:
    return subject_of(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), Mixer(), Odd()), head(8))


def test_it_is_written_down(odd: Subject) -> None:
    source = model_source(odd)
    images = torch.linspace(-1, 1, 5 * 3 * 64).reshape(5, 3, 8, 8)
    with torch.inference_mode():
        assert torch.equal(source.network()(images), odd.network(images))
    assert "self.stage2_block1_conv = nn.Conv2d(6, 6, (1, 3), padding=(0, 1))" in source.text
    assert "self.stage1_block1_norm = nn.LayerNorm(8)" in source.text
    assert sorted(source.network().state_dict()) == sorted(source.weights)


def test_training_mode_is_kept(odd: Subject) -> None:
    written, network = model_source(odd).network().train(), odd.network.train()
    images = torch.linspace(-1, 1, 5 * 3 * 64).reshape(5, 3, 8, 8)
    gradients: list[Tensor] = []
    for each in (network, written):
        with torch.random.fork_rng():
            torch.manual_seed(1)  # noqa: TID251 - the generator is restored; dropout has no other
            each(images).sum().backward()
        gradients.append(torch.cat([value.grad.flatten() for value in each.parameters() if value.grad is not None]))
    assert torch.equal(gradients[0].sort().values, gradients[1].sort().values)
    network.eval()


class DependsOnValues(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        (DependsOnValues, "torch.fx cannot record its calls (TraceError: "),
        (Counts, "the logits would not be the same"),
    ],
)
def test_what_cannot_be_written_is_refused(features: Callable[[], nn.Module], reason: str) -> None:
    with pytest.raises(UserError) as refused:
        model_source(subject_of(features(), head(3)))
    assert reason in str(refused.value)
