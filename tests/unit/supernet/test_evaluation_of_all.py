"""All architectures are evaluated on one pass, with the results of separate evaluations."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.supernet.averages import WeightAverage
from zenfront.pipeline.supernet.evaluation import Evaluator, kept, recalibrate
from zenfront.pipeline.supernet.joint_evaluation import JointEvaluation
from zenfront.pipeline.supernet.supernet import Supernet
from zenfront.pipeline.training.data import Images
from zenfront.pipeline.training.loop import evaluate
from zenfront.spaces import Architecture, Space, Task


def _noise(count: int) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(count))


@pytest.fixture
def supernet(space: Space, every: list[Architecture], task: Task) -> Supernet:
    supernet = Supernet(space, task, every[::3])
    supernet.initialise(torch.Generator().manual_seed(0))
    return supernet


def _perturb(supernet: Supernet) -> None:
    with torch.no_grad():
        for tensor in supernet.parameters():
            tensor.add_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))


def test_the_accuracies_are_those_of_separate_evaluations(supernet: Supernet, images: Images) -> None:
    evaluator = Evaluator(supernet, images.validation, images)
    for _ in range(2):  # the recording stays valid while the weights change
        expected = [evaluate(supernet.path(a), images.validation, images).accuracy for a in supernet.architectures]
        assert evaluator.accuracies(supernet.architectures).tolist() == expected
        assert len(set(expected)) > 1
        _perturb(supernet)
    backwards = supernet.architectures[::-1]
    expected = [evaluate(supernet.path(a), images.validation, images).accuracy for a in backwards]
    assert evaluator.accuracies(backwards).tolist() == expected


@pytest.mark.parametrize("name", ["nasbench201", "darts"])
def test_logits_are_the_same_bits_in_other_spaces(name: str, task: Task) -> None:
    space = spaces.load(name)
    small = {key: value for key, value in (("width", 16), ("depth", 4)) if key in space.levels}
    drawn = [space.sample(numpy_generator(0, str(i))) for i in range(6)]
    supernet = Supernet(space, task, [space.architecture({**a.mapping, **small}) for a in drawn])
    supernet.initialise(torch.Generator().manual_seed(0))
    networks = [supernet.path(architecture).eval() for architecture in supernet.architectures]
    joint = JointEvaluation(networks, _noise(2))
    x = _noise(5)
    with torch.no_grad():
        assert all(torch.equal(network(x), y) for network, y in zip(networks, joint.logits(x), strict=True))


def test_what_is_alike_is_computed_once(space: Space, every: list[Architecture], task: Task) -> None:
    """The stem, the first projection and the operations of the first cell occur once each, whoever needs them.

    Of 64 x 4 cells, the first of each network needs 4 + 4 + 16 operations in place of 64 x 3.
    """
    supernet = Supernet(space, task, every)
    supernet.initialise(torch.Generator().manual_seed(0))
    x = _noise(2)
    networks = [supernet.path(architecture).eval() for architecture in every]
    alone = sum(JointEvaluation([network], x).calls for network in networks)
    together = JointEvaluation(networks, x).calls
    stem, projection = 4, 3
    calls = {0: 2, 1: 8, 2: 8, 3: 4}  # of each operation: a ReLU, two convolutions and a norm, twice for separable ones
    one_edge = sum(calls.values())
    saved = 63 * (stem + projection) + 2 * (16 - 1) * one_edge + (16 - 4) * one_edge
    # Within one network too, both edges from the input begin with the same ReLU (36 networks) or the same pooling (4).
    # Together there is one ReLU in place of six after the projection and in place of three after each of four nodes,
    # and one pooling in place of two.
    assert alone - together == saved - 36 - 4 + 5 + 4 * 2 + 1


def test_equal_networks_are_one(supernet: Supernet) -> None:
    network = supernet.path(supernet.architectures[1]).eval()
    x = _noise(3)
    joint = JointEvaluation([network, network], x[:1])
    assert joint.calls == JointEvaluation([network], x[:1]).calls
    first, second = joint.logits(x)
    assert torch.equal(first, second)


def test_what_a_recording_does_not_repeat_is_evaluated_one_by_one(supernet: Supernet, images: Images) -> None:
    for architecture in supernet.architectures:
        supernet.path(architecture).features.add_module("counting", _Scaled())
    evaluator = Evaluator(supernet, images.validation, images)
    expected = [evaluate(supernet.path(a), images.validation, images).accuracy for a in supernet.architectures]
    assert evaluator.accuracies(supernet.architectures).tolist() == expected
    assert list(evaluator._joint.values()) == [None]


class _Scaled(nn.Module):
    """Scale images by their number and by their own mean, which reads values outside of PyTorch's functions."""

    def forward(self, x: Tensor) -> Tensor:
        return x * float(x.mean()) * x.shape[0]


def test_recalibrated_statistics_are_means_over_the_batches(supernet: Supernet) -> None:
    network = supernet.path(supernet.architectures[0])
    norm = network.features[0][1]  # type: ignore[index]
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    batches = [_noise(6), 3 + 2 * _noise(6)]
    with kept(network):
        recalibrate(network, batches)
        with torch.no_grad():
            seen = [network.features[0][0](batch) for batch in batches]  # type: ignore[index]
        means = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
        variances = torch.stack([x.var((0, 2, 3)) for x in seen]).mean(0)
        torch.testing.assert_close(norm.running_mean, means)
        torch.testing.assert_close(norm.running_var, variances)
    assert norm.momentum == 0.4
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())


def test_averages_of_weights(supernet: Supernet) -> None:
    weight = next(supernet.parameters())
    start = weight.detach().clone()
    equal, moving = WeightAverage(supernet), WeightAverage(supernet, 0.75)
    for step in (1, 2, 6):
        with torch.no_grad():
            weight.copy_(start + step)
        equal.update()
        moving.update()
    with equal.applied():
        torch.testing.assert_close(weight.detach(), start + 3)
    with moving.applied():
        torch.testing.assert_close(weight.detach(), start + 0.25 * (6 + 0.75 * 2 + 0.75**2 * 1))
    torch.testing.assert_close(weight.detach(), start + 6)
    again = WeightAverage(supernet)
    again.load_state_dict(equal.state_dict())
    with torch.no_grad():
        weight.copy_(start + 7)
    again.update()
    with again.applied():
        torch.testing.assert_close(weight.detach(), start + 4)


def test_every_architecture_is_left_as_it_was(supernet: Supernet, images: Images) -> None:
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    evaluator = Evaluator(supernet, images.validation, images)

    def prepare(architecture: Architecture) -> None:
        _perturb(supernet)

    for architecture in supernet.architectures[:1]:
        with kept(supernet):
            evaluator.one_by_one([architecture], prepare)
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())
    assert np.isfinite(evaluator.accuracies(supernet.architectures)).all()
