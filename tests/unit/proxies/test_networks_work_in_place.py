"""Gradients are the same bit for bit when ReLUs and sums overwrite their input."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.proxies._gradients import loss_gradients
from zenfront.pipeline.proxies._state import borrowed, in_place
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.spaces import Network, Residual, Task, initialise

TASK = Task(3, 8, 8, 4)


class ReadsTheNormTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        z: Tensor = self.relu(y) + y
        return z


def network(layers: Callable[[], list[nn.Module]]) -> Network:
    with torch.device("meta"):
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
        net = Network(nn.Sequential(*layers()), head)
    return initialise(net, torch_generator(1, "weights"), "default")


def random_batch(task: Task = TASK) -> Batch:
    generator = torch_generator(2, "batch")
    images = torch.randn(4, task.channels, task.height, task.width, generator=generator)
    return Batch(images, torch.arange(4) % task.out_features)


def by_autograd(net: Network, batch: Batch) -> list[Tensor]:
    """Return torch's gradients of a copy, from `backward`."""
    own = copy.deepcopy(net).train()
    for module in own.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    F.cross_entropy(own(batch.images.contiguous(memory_format=torch.channels_last)), batch.labels).backward()  # type: ignore[no-untyped-call]
    weights = [m.weight for m in own.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]


@pytest.mark.parametrize("name", ["anynet3", "nats_sss"])
def test_on_sampled_networks(name: str) -> None:
    space = spaces.load(name)
    architecture = space.sample(numpy_generator(5, name))
    task = Task(3, 16, 16, 4)
    net = initialise(space.network(architecture, task), torch_generator(1, name), "default")
    batch = random_batch(task)
    with borrowed(net, torch_generator(3, "score")):
        taken = [w.gradient for w in loss_gradients(net, batch).weights]
    assert all(torch.equal(a, b) for a, b in zip(taken, by_autograd(net, batch), strict=True))


def test_an_input_that_is_read_again_is_kept() -> None:
    net, batch = network(lambda: [nn.Conv2d(3, 3, 1), ReadsTheNormTwice()]), random_batch()
    with borrowed(net, torch_generator(3, "score")):
        taken = [w.gradient for w in loss_gradients(net, batch).weights]
    assert all(torch.equal(a, b) for a, b in zip(taken, by_autograd(net, batch), strict=True))


def test_only_behind_norms_and_sums_and_only_if_used_once() -> None:
    shared, behind_norm, behind_sum, behind_conv = (nn.ReLU() for _ in range(4))

    def layers() -> list[nn.Module]:
        branch = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
        start = [nn.BatchNorm2d(3), behind_norm, Residual(branch, nn.Identity()), behind_sum]
        return [*start, nn.Conv2d(3, 3, 1), behind_conv, nn.BatchNorm2d(3), shared, nn.BatchNorm2d(3), shared]

    net = network(layers)
    with in_place(net):
        assert [r.inplace for r in (shared, behind_norm, behind_sum, behind_conv)] == [False, True, True, False]
    assert not any(r.inplace for r in (shared, behind_norm, behind_sum, behind_conv))


@pytest.mark.parametrize(
    ("branch", "inplace"),
    [
        (lambda: [nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)], True),
        (lambda: [nn.Conv2d(3, 3, 1)], False),
        (lambda: [nn.Conv2d(3, 3, 1), nn.Sigmoid()], False),
        (lambda: [nn.Identity()], False),
        (list, False),
    ],
    ids=["norm", "convolution", "sigmoid", "identity", "nothing"],
)
def test_only_sums_whose_branch_ends_with_a_norm(branch: Callable[[], list[nn.Module]], inplace: bool) -> None:
    """A sigmoid keeps its output for the backward pass; an identity's output is the shortcut's input."""
    net = network(lambda: [nn.Conv2d(3, 3, 1), Residual(nn.Sequential(*branch()), nn.Identity())])
    (residual,) = (module for module in net.modules() if isinstance(module, Residual))
    batch = random_batch()
    with in_place(net):
        assert residual.inplace == inplace
    assert not residual.inplace
    with borrowed(net, torch_generator(3, "score")):
        taken = [w.gradient for w in loss_gradients(net, batch).weights]
    assert all(torch.equal(a, b) for a, b in zip(taken, by_autograd(net, batch), strict=True))
