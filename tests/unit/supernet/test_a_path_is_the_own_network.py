"""The network of an architecture in a supernet is the architecture's own network with the same weights."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.experiment.supernet_config import Norm
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.supernet.supernet import Supernet
from zenfront.pipeline.training.loop import train_step
from zenfront.pipeline.training.optimisation.optimiser import new_optimizer
from zenfront.spaces import Architecture, Network, Space, Task, initialise

TASK = Task(3, 8, 8, 3)
CELLS = ["nasbench201", "transnas_micro", "darts", "enas", "nasbench_macro"]


def initialised(supernet: Supernet, seed: int = 0) -> Supernet:
    supernet.initialise(torch.Generator().manual_seed(seed))
    return supernet


def own_network(supernet: Supernet, architecture: Architecture) -> Network:
    """Return the network that the space builds, with copies of the weights that it has in the supernet."""
    network = supernet.space.network(architecture, supernet.task).to_empty(device="cpu")
    network.load_state_dict(supernet.path(architecture).state_dict())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _drawn(name: str, count: int) -> tuple[Space, list[Architecture]]:
    space = spaces.load(name)
    generator = numpy_generator(0, name)
    found = [space.sample(generator) for _ in range(count)]
    small = {key: value for key, value in (("width", 16), ("depth", 4)) if key in space.levels}
    return space, list(dict.fromkeys(space.architecture({**a.mapping, **small}) for a in found))


def _batch(count: int = 4, side: int = 8, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, classes, (count,), generator=generator)
    return torch.randn(count, 3, side, side, generator=generator), F.one_hot(labels, classes).float()


def _assert_same(supernet: Supernet, architectures: list[Architecture], side: int) -> None:
    x, y = _batch(side=side, classes=supernet.task.classes or 0)
    for architecture in architectures:
        path, own = supernet.path(architecture), own_network(supernet, architecture)
        for network in (path, own):
            network.train()
            network.zero_grad()
            F.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        assert [name for name, _ in path.named_parameters()] == [name for name, _ in own.named_parameters()]
        for mine, theirs in zip(path.parameters(), own.parameters(), strict=True):
            assert mine.grad is not None
            assert theirs.grad is not None
            assert torch.equal(mine.grad, theirs.grad)
        with torch.no_grad():
            assert torch.equal(path.eval()(x), own.eval()(x))


def test_all_of_supernet64(space: Space, every: list[Architecture]) -> None:
    _assert_same(initialised(Supernet(space, TASK, every)), every, 8)


def test_twenty_cells_of_nasbench201() -> None:
    space, architectures = _drawn("nasbench201", 20)
    assert len(architectures) >= 19
    _assert_same(initialised(Supernet(space, TASK, architectures)), architectures, 8)


@pytest.mark.parametrize("name", CELLS[1:])
def test_other_spaces(name: str) -> None:
    space, architectures = _drawn(name, 4)
    side = 32 if name in ("transnas_micro", "nasbench_macro") else 8
    supernet = initialised(Supernet(space, Task(3, side, side, 3), architectures))
    _assert_same(supernet, architectures, side)
    apart = sum(len(list(own_network(supernet, each).parameters())) for each in architectures)
    assert len(list(supernet.parameters())) < 0.9 * apart


def test_equal_operations_on_equal_edges_share(space: Space) -> None:
    first, second = (space.architecture(space.parse(text)) for text in ("234", "231"))
    supernet = Supernet(space, TASK, [first, second])
    a, b = supernet.path(first), supernet.path(second)

    def layers(network: nn.Module, operation: int) -> list[int]:
        cell = network.get_submodule(f"features.1.operations.{operation}")
        return [id(module) for module in cell.modules() if module._parameters]

    assert layers(a, 0) == layers(b, 0)
    assert layers(a, 1) == layers(b, 1)
    assert not set(layers(a, 2)) & set(layers(b, 2))
    assert not set(layers(a, 0)) & set(layers(a, 1))  # the same operation on two edges
    assert a.head[2] is b.head[2]  # type: ignore[index]


def test_a_step_changes_nothing_off_its_path(space: Space, every: list[Architecture], recipe: Recipe) -> None:
    supernet = initialised(Supernet(space, TASK, every))
    optimizer = new_optimizer(supernet, recipe)
    x, y = _batch(16)
    for child in (every[3], every[60]):  # the second step has momentum and weight decay of the first
        on_path = {id(tensor) for tensor in supernet.path(child).state_dict(keep_vars=True).values()}
        before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
        train_step(supernet.path(child).train(), optimizer, x, y, recipe)
        changed = {
            name: not torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict(keep_vars=True).items()
        }
        for name, tensor in supernet.state_dict(keep_vars=True).items():
            assert changed[name] == (id(tensor) in on_path), name


def test_gradients_of_shared_weights_add_up_over_architectures(space: Space, every: list[Architecture]) -> None:
    supernet = initialised(Supernet(space, TASK, every)).double()
    x, y = _batch(8)
    x, y = x.double(), y.double()
    some = [every[index] for index in (0, 7, 21, 63)]
    expected: dict[int, Tensor] = {}
    for child in some:
        own = own_network(supernet, child).double().train()
        own.load_state_dict(supernet.path(child).state_dict())
        F.cross_entropy(own(x), y).backward()  # type: ignore[no-untyped-call]
        for shared, apart in zip(supernet.path(child).parameters(), own.parameters(), strict=True):
            assert apart.grad is not None
            expected[id(shared)] = expected.get(id(shared), torch.zeros_like(apart)) + apart.grad
    supernet.zero_grad()
    loss = torch.stack([F.cross_entropy(supernet.path(child).train()(x), y) for child in some]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    for parameter in supernet.parameters():
        if id(parameter) in expected:
            torch.testing.assert_close(parameter.grad, expected[id(parameter)], rtol=1e-9, atol=1e-12)
        else:
            assert parameter.grad is None


def test_one_architecture_gets_the_weights_of_its_own_network(space: Space, every: list[Architecture]) -> None:
    own = initialise(space.network(every[27], TASK), torch.Generator().manual_seed(5))
    path = initialised(Supernet(space, TASK, [every[27]]), 5).path(every[27])
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), path.parameters(), strict=True))


def test_weights_are_held_once(space: Space, every: list[Architecture]) -> None:
    """Each of four operations on three edges in four cells, the rest once."""
    supernet = Supernet(space, TASK, every)

    def size(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    operation = {0: 0, 1: 2 * (9 * 16 + 256), 2: 2 * (25 * 16 + 256), 3: 25 * 16 + 256}
    pooling = space.network(every[0], TASK)  # max pooling has no weights
    assert size(supernet) == size(pooling) + 4 * 3 * sum(operation.values())


@pytest.mark.parametrize(
    ("share", "owned"),
    [
        ("all", lambda name: False),
        ("first_2", lambda name: name.startswith(("features.3", "features.4", "head"))),
        ("first_0", lambda name: not name.startswith("features.0")),
        ("not_norm", lambda name: name.startswith(("features.0.1.", "features.0.3."))),
        ("only_stem_and_conv", lambda name: name.startswith("head")),
        ("not_op_n1_n2", lambda name: ".operations.2" in name),
        ("not_max_pool_3x3", lambda name: False),
        ("not_head", lambda name: name.startswith("head")),
    ],
)
def test_partial_sharing(share: str, owned: Callable[[str], bool], space: Space, every: list[Architecture]) -> None:
    """Two architectures with equal operations but on the last edge: what is not shared, each has for itself."""
    first, second = (space.architecture(space.parse(text)) for text in ("232", "233"))
    supernet = Supernet(space, TASK, [first, second, every[0]], share=share)
    one, two = (dict(supernet.path(each).named_parameters()) for each in (first, second))
    for name in one:
        same = ".operations.2" not in name and not owned(name)
        assert (one[name] is two[name]) == same, name


def test_norms_can_be_those_of_the_paper() -> None:
    space, architectures = _drawn("nasbench201", 4)
    norm = Norm(momentum=0.4, affine=False)
    supernet = initialised(Supernet(space, TASK, architectures, norm))
    norms = [module for module in supernet.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(module.momentum, module.affine) for module in norms} == {(0.4, False)}
    assert not [parameter for module in norms for parameter in module.parameters()]
    untracked = initialised(Supernet(space, TASK, architectures, Norm(statistics="batch")))
    x, _ = _batch()
    network = untracked.path(architectures[0]).eval()
    with torch.no_grad():
        assert not torch.equal(network(x)[:2], network(x[:2]))


def test_what_cannot_share_is_refused(space: Space, every: list[Architecture]) -> None:
    anynet = spaces.load("anynet3")
    with pytest.raises(UserError, match=r"space 'anynet3' has no shared choices.*Spaces that do: .*nasbench201"):
        Supernet(anynet, TASK, [anynet.sample(numpy_generator(0))])
    with pytest.raises(UserError, match=r"no layer of space 'supernet64' is a 'cnv' \(share='not_cnv'\)"):
        Supernet(space, TASK, every[:2], share="not_cnv")
