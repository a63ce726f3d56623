import time
from collections.abc import Callable, Iterable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.seeds import torch_generator
from zenfront.spaces import Network, Task, initialise
from zenfront.spaces._outline import OutlinedBlock

SIDE = 8


def cost(name: str, *features: nn.Module, head: nn.Module | None = None) -> float:
    network = Network(nn.Sequential(*features), head or nn.Flatten())
    empty = Batch(torch.empty(2, 3, SIDE, SIDE, device="meta"), torch.empty(2, device="meta"))
    return proxies.load(name).score(network, empty, torch_generator(0, "cost"))


def conv(w_in: int, w_out: int, k: int = 3, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(w_in, w_out, k, stride, k // 2, bias=bias, device="meta")


class Sum(nn.Module):
    """The sum of branches, each with an optional factor."""

    def __init__(self, *branches: nn.Module, factors: tuple[float, ...] = ()) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.factors = factors or (1.0,) * len(branches)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = sum(
            (b(x) * f if f != 1 else b(x) for b, f in zip(self.branches, self.factors, strict=True)), torch.tensor(0.0)
        )
        return total


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.conv(x)
        return x


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(3, 1, 1, device="meta"))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Unknown(Scale):
    def forward(self, x: Tensor) -> Tensor:
        spectrum: Tensor = torch.fft.fft(self.gamma, dim=0).abs()
        return x + spectrum


class Attention(nn.Module):
    """Attention of the rows of an image, (N, 3, SIDE, SIDE), in several ways of writing it."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.w = nn.Parameter(torch.empty(SIDE, SIDE, device="meta"))
        self.heads = nn.MultiheadAttention(SIDE, 2, batch_first=True, device="meta") if way == "heads" else None

    def forward(self, x: Tensor) -> Tensor:
        if self.heads is not None:
            tokens = x.flatten(1, 2)
            attended: Tensor = self.heads(tokens, tokens, tokens)[0]
            return attended
        match self.way:
            case "operator":
                product: Tensor = (x @ x.mT).softmax(-1) @ (x @ self.w)
                return product
            case "einsum":
                scores: Tensor = torch.einsum("nchw,ncgw->nchg", x, x)
                return scores
            case _:
                query = x.flatten(1, 2)
                return torch.bmm(torch.matmul(query, query.transpose(1, 2)), query)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: conv(3, 8),
    "biased": lambda: conv(3, 8, bias=True),
    "strided": lambda: conv(3, 8, stride=2),
    "grouped": lambda: nn.Conv2d(3, 12, 3, groups=3, device="meta"),
    "dilated": lambda: nn.Conv2d(3, 4, 3, dilation=2, device="meta"),
    "same padding": lambda: nn.Conv2d(3, 4, 3, padding="same", dilation=2, device="meta"),
    "oblong": lambda: nn.Conv2d(3, 4, (1, 5), (2, 1), (0, 3), device="meta"),
    "reflected": lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect", device="meta"),
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 7, device="meta")),
    "linear on rows": lambda: nn.Linear(SIDE, 5, device="meta"),
    "pooled": lambda: nn.Sequential(nn.MaxPool2d(2), conv(3, 4), nn.AvgPool2d(2), conv(4, 4)),
    "attention": lambda: Attention("operator"),
    "attention by functions": lambda: Attention("functions"),
    "attention by einsum": lambda: Attention("einsum"),
    "multi-head attention": lambda: Attention("heads"),
    "twice": lambda: nn.Sequential(*[conv(3, 3)] * 2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_flops_are_half_of_what_torch_counts(name: str) -> None:
    layer = LAYERS[name]()
    with FlopCounterMode(display=False) as counter:
        layer(torch.empty(1, 3, SIDE, SIDE, device="meta"))
    assert cost("flops", layer) == counter.get_total_flops() / 2


def test_attention_counts_its_two_products() -> None:
    """2 T^2 D for T tokens of width D; torch's own counter reports 0 for this function on the CPU."""

    class Scaled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            tokens = x.flatten(1, 2)
            return F.scaled_dot_product_attention(tokens, tokens, tokens)

    assert cost("flops", Scaled()) == 2 * (3 * SIDE) ** 2 * SIDE


def test_the_projections_of_multi_head_attention_are_linear_layers() -> None:
    """Query, key and value have T D elements each, and so has the output; all four weights are on the path."""
    attention = Attention("heads")
    assert cost("activations", attention) == 4 * 3 * SIDE * SIDE
    assert cost("live_params", attention) == 4 * SIDE**2 + 4 * SIDE
    assert cost("depth", attention) == 0


def test_norms_activations_and_pooling_cost_nothing() -> None:
    layers = [nn.BatchNorm2d(3, device="meta"), nn.ReLU(), nn.MaxPool2d(2), nn.GroupNorm(3, 3, device="meta")]
    assert cost("flops", *layers, Scale(), head=nn.Sequential(nn.Flatten(), nn.PReLU(device="meta"))) == 0


@pytest.mark.parametrize("name", ["flops", "activations", "depth", "live_params", "peak_memory"])
def test_a_parameter_of_unknown_use_is_an_error(name: str) -> None:
    with pytest.raises(NotImplementedError, match="passes parameters to 'fft_fft' is not known"):
        cost(name, Unknown())


def test_params_are_all_parameters() -> None:
    assert cost("params", conv(3, 8), nn.BatchNorm2d(8, device="meta")) == 3 * 8 * 9 + 8 + 16


def test_activations_are_the_outputs_of_convolutions_and_linear_layers() -> None:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10, device="meta"))
    assert cost("activations", conv(3, 8, stride=2), nn.ReLU(), conv(8, 8), head=head) == 2 * 8 * (SIDE // 2) ** 2 + 10


def test_depth_is_the_longest_path() -> None:
    assert cost("depth", conv(3, 3), Sum(nn.Sequential(conv(3, 3), conv(3, 3)), conv(3, 3, 1)), conv(3, 3)) == 4
    assert cost("depth", Sum(nn.Identity(), conv(3, 3))) == 1
    assert cost("depth", nn.Identity()) == 0


def test_a_branch_multiplied_by_zero_is_no_path() -> None:
    deep = nn.Sequential(conv(3, 3), conv(3, 3), conv(3, 3))
    assert cost("depth", conv(3, 3), Sum(deep, conv(3, 3), factors=(0, 1))) == 2
    assert cost("depth", Sum(conv(3, 3), factors=(0,)), conv(3, 3)) == 0


def test_live_params_lie_on_a_path() -> None:
    one = 3 * 3 * 9 + 3
    assert cost("live_params", conv(3, 3), Unused(), conv(3, 3)) == 2 * one
    assert cost("live_params", conv(3, 3), Sum(conv(3, 3), conv(3, 3), factors=(0, 1))) == 2 * one
    assert cost("live_params", conv(3, 3), Sum(conv(3, 3), factors=(0,)), conv(3, 3)) == 0
    assert cost("live_params", *[conv(3, 3)] * 2) == one


def test_peak_memory_is_the_largest_sum_of_what_is_alive() -> None:
    """The image has 3, wide 12 and narrow 2 maps of 64 pixels: 15 maps during the first layer, 14 during the second."""
    first, second = conv(3, 12, bias=False), conv(12, 2, bias=False)
    parameters = 3 * 12 * 9 + 12 * 2 * 9
    assert cost("peak_memory", first, second) == 4 * (parameters + 15 * SIDE**2)
    # A shortcut keeps the image alive beside both.
    shortcut = Sum(nn.Sequential(first, conv(12, 3, bias=False)), nn.Identity())
    assert cost("peak_memory", shortcut) == 4 * (3 * 12 * 9 + 12 * 3 * 9 + 18 * SIDE**2)


def test_nothing_is_allocated_or_left_on_the_network() -> None:
    network = Network(nn.Sequential(conv(3, 8), nn.BatchNorm2d(8, device="meta")), nn.Flatten())
    attributes = [set(vars(tensor)) for tensor in (*network.parameters(), *network.buffers())]
    empty = Batch(torch.empty(2, 3, SIDE, SIDE, device="meta"), torch.empty(2, device="meta"))
    for proxy in (proxy for proxy in map(proxies.load, proxies.names()) if proxy.is_cost):
        proxy.score(network, empty, torch_generator(0, "cost"))
    tensors = [*network.parameters(), *network.buffers()]
    assert all(tensor.is_meta for tensor in tensors)
    assert [set(vars(tensor)) for tensor in tensors] == attributes


def test_an_outline_of_constant_cells_has_the_costs_of_the_network() -> None:
    """Cells without operations: the reduction blocks behind them read constants, and no path leads to the output."""
    space, task = spaces.load("nasbench201"), Task(channels=3, height=SIDE, width=SIDE, classes=10)
    architecture = space.architecture(dict.fromkeys(space.levels, "none"))
    empty = Batch(torch.empty(2, 3, SIDE, SIDE, device="meta"), torch.empty(2, device="meta"))
    found = [
        [proxies.load(name).score(network, empty, torch_generator(0, "cost")) for name in ("flops", "params", "depth")]
        for network in (space.network(architecture, task), space.outline(architecture, task))
    ]
    assert found[0] == found[1]
    assert found[0][2] == 0


def test_equal_blocks_of_an_outline_are_built_once() -> None:
    space, task = spaces.load("resnet"), Task(channels=3, height=SIDE, width=SIDE, classes=10)
    outline = space.outline(space.architecture({"d1": 24, "d2": 1, "d3": 1, "w1": 16, "w2": 16, "w3": 16}), task)
    _stem, *blocks = [each for each in outline.features.children() if isinstance(each, OutlinedBlock)]
    assert len(blocks) == 26
    assert len({block.block for block in blocks}) == 2, "one of stride 1, and one of stride 2"
    assert blocks[0].block.on_meta() is blocks[23].block.on_meta()
    assert sum(parameter.numel() for parameter in blocks[5].parameters()) == 2 * (16 * 16 * 9 + 2 * 16)


class Clock(nn.Module):
    """A clock that only passes of the network advance, each by a given time."""

    def __init__(self, seconds: Iterable[float]) -> None:
        super().__init__()
        self.seconds, self.now = iter(seconds), 1e6

    def forward(self, x: Tensor) -> Tensor:
        self.now += next(self.seconds)
        return x


@pytest.mark.parametrize(("statistic", "expected"), [("median", 3), ("spread", 4 - 2)])
def test_latency_is_the_time_of_a_pass(monkeypatch: pytest.MonkeyPatch, statistic: str, expected: float) -> None:
    clock = Clock([100, 100, 3, 1, 50, 2, 4])
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    network = initialise(Network(clock, nn.Flatten()), torch_generator(0, "weights"))
    batch = Batch(torch.zeros(2, 3, SIDE, SIDE), torch.zeros(2, dtype=torch.int64))
    latency = proxies.load("latency").score
    found = latency(network, batch, torch_generator(0, "latency"), warm_up=2, repeats=5, statistic=statistic)
    assert found == expected
