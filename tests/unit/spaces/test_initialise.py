"""A network for a GPU lies in one piece of memory, has the weights of one on the CPU, and goes there in one copy."""

import math

import pytest
import torch
from torch import nn

from zenfront import spaces
from zenfront.spaces import Init, Network, Task, initialise
from zenfront.spaces._initialise import _places, draw_in_new_memory
from zenfront.spaces._memory import ALIGNED, Memory
from zenfront.testing._networks import BODIES, generator, meta
from zenfront.testing._operators import counted_operators

INITS: list[Init] = ["default", "kaiming", "gaussian"]


class OwnNorm(nn.BatchNorm2d):
    """A batch norm that begins otherwise."""

    def reset_parameters(self) -> None:
        """Reset to a weight of zero, as the last norm of a block in some recipes."""
        self.reset_running_stats()
        nn.init.zeros_(self.weight)
        nn.init.ones_(self.bias)


def side_by_side(network: Network, init: Init) -> Network:
    """Initialise a network as for a GPU, on the CPU."""
    with torch.no_grad():
        draw_in_new_memory(list(network.modules()), generator(), init, torch.device("cpu"))
    return network


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("name", BODIES)
def test_new_memory_has_the_values_that_layers_draw_one_by_one(name: str, init: Init) -> None:
    network = side_by_side(meta(name), init)
    at_once = {key: value.clone() for key, value in network.state_dict().items()}
    one_by_one = initialise(network, generator(), init).state_dict()  # in the same memory
    assert at_once.keys() == one_by_one.keys()
    assert all(torch.equal(at_once[key], one_by_one[key]) for key in at_once)


def test_parameters_lie_side_by_side_and_change_independently() -> None:
    network = side_by_side(meta("residual"), "kaiming")
    floats = [*network.parameters(), *(b for b in network.buffers() if b.is_floating_point())]
    assert len({each.untyped_storage().data_ptr() for each in floats}) == 1
    assert all(each.storage_offset() % ALIGNED == 0 for each in floats)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        next(network.parameters()).add_(1)
    changed = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    assert len(changed) == 1
    network.train()(
        torch.randn(4, 3, 8, 8, generator=generator())
    ).sum().backward()  # norms update their statistics before it


def test_a_norm_of_ones_own_resets_itself() -> None:
    with torch.device("meta"):
        body = nn.Sequential(nn.Conv2d(3, 4, 1), OwnNorm(4))
        network = Network(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)))
    for ready in (initialise(network, generator()), side_by_side(network, "kaiming")):
        values = [value.tolist() for value in ready.features[1].state_dict().values()]  # type: ignore[index]
        assert values == [[0.0] * 4, [1.0] * 4, [0.0] * 4, [1.0] * 4, 0]


@pytest.mark.parametrize("depth", [1, 4])
def test_weights_go_to_a_device_in_one_copy_for_each_dtype(depth: int) -> None:
    space = spaces.load("anynet3")
    genes = space.parse(",".join(f"d{i}={depth},w{i}=8,b{i}=1,g{i}=8" for i in (1, 2, 3)))
    network = space.network(space.architecture(genes), Task(3, 8, 8, 4))
    with counted_operators() as found:
        initialise(network, generator(), device="meta")  # stands for a GPU
    assert found.copies == 2
    assert all(each.is_meta for each in (*network.parameters(), *network.buffers()))


@pytest.mark.parametrize("init", INITS)
def test_weights_drawn_together_have_the_scale_of_each_layer(init: Init) -> None:
    """The draws of a generator on a GPU, here with one on the CPU."""
    network = meta("with batch norm")
    (memory, _) = Memory.of(place for module in network.modules() for place in _places(module, init))
    memory.allocate(torch.device("cpu"), pinned=False)
    with counted_operators() as found:
        memory.draw(generator(), uniform=init == "default")
    assert found.launches.total() == 2
    for name, weight in network.state_dict().items():
        if weight.dim() < 2:
            continue
        fan_in = weight[0].numel()
        expected = {"default": math.sqrt(1 / fan_in / 3), "kaiming": math.sqrt(2 / fan_in), "gaussian": 1.0}[init]
        assert float(weight.square().mean().sqrt()) == pytest.approx(expected, rel=4 / math.sqrt(weight.numel())), name
        assert init != "default" or float(weight.abs().max()) <= 1 / math.sqrt(fan_in)
    norm = network.features[0][1]  # type: ignore[index]
    assert (norm.weight.tolist(), norm.bias.tolist()) == ([1.0] * 8, [0.0] * 8)
