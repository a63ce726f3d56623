"""The spaces' own convolution and batch norm equal torch's in everything but construction time."""

import copy
import io
from collections.abc import Callable

import pytest
import torch
from torch import nn

from zenfront.spaces import Network, initialise
from zenfront.spaces._layers import BatchNorm2d, Conv2d

PAIRS: list[tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = [
    (lambda: Conv2d(6, 4, 3), lambda: nn.Conv2d(6, 4, 3)),
    (
        lambda: Conv2d(6, 4, (1, 5), (1, 2), (0, 2), 1, 2, bias=False),
        lambda: nn.Conv2d(6, 4, (1, 5), (1, 2), (0, 2), 1, 2, bias=False),
    ),
    (lambda: Conv2d(4, 4, 3, 2, 2, 2, 4), lambda: nn.Conv2d(4, 4, 3, 2, 2, 2, 4)),
    (lambda: BatchNorm2d(4), lambda: nn.BatchNorm2d(4)),
    (lambda: BatchNorm2d(4, momentum=0.3, affine=False), lambda: nn.BatchNorm2d(4, momentum=0.3, affine=False)),
]
EACH = pytest.mark.parametrize(("own", "torchs"), PAIRS)


def described(layer: nn.Module) -> dict[str, object]:
    tensors = {
        name: (None if t is None else (t.shape, t.dtype, t.device, t.requires_grad, type(t)))
        for name, t in (*layer._parameters.items(), *layer._buffers.items())
    }
    held = ("_parameters", "_buffers")
    return {**tensors, **{name: value for name, value in vars(layer).items() if name not in held}}


@EACH
def test_on_the_meta_device_every_attribute_is_torchs(
    own: Callable[[], nn.Module], torchs: Callable[[], nn.Module]
) -> None:
    with torch.device("meta"):
        assert described(own()) == described(torchs())


@EACH
@pytest.mark.global_rng
def test_elsewhere_the_values_are_torchs_too(own: Callable[[], nn.Module], torchs: Callable[[], nn.Module]) -> None:
    states = []
    for layer in (own, torchs):
        torch.default_generator.manual_seed(0)
        states.append(layer().state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


@EACH
def test_two_of_the_same_settings_share_nothing(own: Callable[[], nn.Module], torchs: Callable[[], nn.Module]) -> None:
    with torch.device("meta"):
        first, second, expected = own(), own(), torchs()
    tensors = [*first.parameters(), *first.buffers(), *second.parameters(), *second.buffers()]
    assert len({id(tensor) for tensor in tensors}) == len(tensors) > 0
    first.register_forward_hook(lambda *_: None)
    first.register_buffer("more", torch.ones(1))
    first.training = False
    assert described(second) == described(expected)


def test_the_default_type_is_taken() -> None:
    with torch.device("meta"):
        assert Conv2d(2, 2, 1).weight.dtype is torch.float32
        torch.set_default_dtype(torch.float64)
        try:
            assert Conv2d(2, 2, 1).weight.dtype is torch.float64
        finally:
            torch.set_default_dtype(torch.float32)


def test_with_weights_it_is_copied_and_saved_like_any_other() -> None:
    with torch.device("meta"):
        network = Network(nn.Sequential(Conv2d(3, 8, 3), BatchNorm2d(8)), nn.Flatten())
    initialise(network, torch.Generator().manual_seed(0))
    file = io.BytesIO()
    torch.save(network, file)
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    expected = network.eval()(images)
    for other in (copy.deepcopy(network), torch.load(io.BytesIO(file.getvalue()), weights_only=False)):
        assert torch.equal(other.eval()(images), expected)
    assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in network.state_dict().values())
