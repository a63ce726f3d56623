"""What every proxy must hold, on networks of every kind. No branch on a name: a new proxy is covered by being there."""

import copy
import inspect
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.errors import ScoreUndefined, UserError
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.spaces import Network, Task, initialise

TASK = Task(3, 8, 8, 4)
SEED = 11


class Gated(nn.Module):
    """Squeeze-and-excitation with biases."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, 2, 1), nn.ReLU(), nn.Conv2d(2, width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x * self.gate(x)
        return y


class Twice(nn.Module):
    """One convolution used two times, with a concatenation of both results."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        once = self.conv(x)
        return torch.cat([once, torch.relu(self.conv(once))], 1)


def conv(w_in: int, w_out: int, *, norm: bool = True, inplace: bool = False, **options: Any) -> nn.Sequential:
    options = {"kernel_size": 3, "padding": 1, "bias": not norm} | options
    layers = [nn.Conv2d(w_in, w_out, **options), *([nn.BatchNorm2d(w_out)] if norm else []), nn.ReLU(inplace)]
    return nn.Sequential(*layers)


def residual(width: int) -> spaces.Auxiliary:
    return Shortcut(nn.Sequential(conv(width, width), nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width)))


class Shortcut(spaces.Auxiliary):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.branch(x)
        return torch.relu(y + x if self.active else y)


BODIES: dict[str, Callable[[], tuple[list[nn.Module], int]]] = {
    "with batch norm": lambda: ([conv(3, 8), conv(8, 12, stride=2)], 12),
    "without norm": lambda: ([conv(3, 8, norm=False), conv(8, 12, norm=False)], 12),
    "residual": lambda: ([conv(3, 8), residual(8), residual(8)], 8),
    "grouped": lambda: ([conv(3, 8), conv(8, 8, groups=4), conv(8, 16, stride=2, groups=2)], 16),
    "depthwise": lambda: ([conv(3, 8), conv(8, 8, groups=8, kernel_size=5, padding=2), conv(8, 12)], 12),
    "dilated": lambda: ([conv(3, 8), conv(8, 8, dilation=2, padding=2), conv(8, 8, padding="same")], 8),
    "biased under batch norm": lambda: ([conv(3, 8, bias=True), conv(8, 8, bias=True)], 8),
    "squeeze-and-excitation": lambda: ([conv(3, 8), nn.Sequential(conv(8, 8), Gated(8)), conv(8, 8)], 8),
    "in place": lambda: ([conv(3, 8, inplace=True), conv(8, 8, inplace=True), conv(8, 8, inplace=True)], 8),
    "shared weights": lambda: ([conv(3, 4), Twice(4), conv(8, 8)], 8),
    "dropout": lambda: ([conv(3, 8), nn.Sequential(conv(8, 8), nn.Dropout(0.2)), conv(8, 8)], 8),
    "pooling": lambda: (
        [conv(3, 8), nn.Sequential(nn.MaxPool2d(3, 2, 1), conv(8, 8)), nn.AvgPool2d(3, 2, 1), conv(8, 8)],
        8,
    ),
}


def meta(name: str) -> Network:
    with torch.device("meta"):
        blocks, width = BODIES[name]()
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, TASK.classes))
        return Network(nn.Sequential(*blocks), head)


def ready(proxy: Proxy, network: Network, seed: int = SEED) -> Network:
    """The network as the scorer hands it to the proxy."""
    return network if proxy.weights == "none" else initialise(network, generator(seed), proxy.weights)


def generator(seed: int = SEED) -> torch.Generator:
    return torch_generator(seed, "contract")


def score(proxy: Proxy, network: Network, batch: Batch) -> float:
    return proxy.score(network, batch.to("meta" if proxy.is_cost else "cpu"), generator())


@pytest.fixture(params=proxies.names())
def proxy(request: pytest.FixtureRequest) -> Proxy:
    return proxies.load(request.param)


@pytest.fixture(params=BODIES, ids=lambda name: name.replace(" ", "-"))
def network(request: pytest.FixtureRequest, proxy: Proxy) -> Network:
    return ready(proxy, meta(request.param))


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Eight images of two classes."""
    images = torch.randn(8, TASK.channels, TASK.height, TASK.width, generator=generator())
    return Batch(images, torch.tensor([0, 1, 0, 1, 1, 0, 1, 0]))


@pytest.fixture(params=[name for name in proxies.names() if not proxies.load(name).measured])
def deterministic(request: pytest.FixtureRequest) -> Proxy:
    return proxies.load(request.param)


def test_it_says_what_it_is(proxy: Proxy) -> None:
    assert proxy.name in proxies.names()
    assert proxy.unit
    assert proxy.source
    assert proxy.direction in ("maximise", "minimise")
    text = inspect.getdoc(proxy.score) or ""
    for part in ("Args:", "network:", "batch:", "generator:", "Returns:", "Source:"):
        assert part in text
    options = [p for p in inspect.signature(proxy.score).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for option in options:
        assert option.default is not option.empty
        assert f"    {option.name}: " in text


def test_its_module_is_named_after_it() -> None:
    assert [proxies.load(name).name for name in proxies.names()] == proxies.names()


def test_it_is_a_finite_number(proxy: Proxy, network: Network, batch: Batch) -> None:
    value = score(proxy, network, batch)
    assert isinstance(value, float)
    assert math.isfinite(value)


def test_it_is_the_same_again(deterministic: Proxy, batch: Batch) -> None:
    for name in BODIES:
        first = score(deterministic, ready(deterministic, meta(name)), batch)
        second = score(deterministic, ready(deterministic, meta(name)), batch)
        assert first == second


def test_it_does_not_depend_on_what_was_scored_before(deterministic: Proxy, batch: Batch) -> None:
    alone = score(deterministic, ready(deterministic, meta("dropout")), batch)
    network = ready(deterministic, meta("dropout"))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(99)
        for other in map(proxies.load, proxies.names()):
            if other.is_cost == deterministic.is_cost:
                score(other, network, batch)
                score(other, ready(other, meta("residual"), seed=5), batch)
        assert score(deterministic, network, batch) == alone


class Traces:
    """All of a network and its surroundings that a proxy could leave a mark on."""

    def __init__(self, network: Network) -> None:
        self.network = network
        if next(network.parameters()).device.type != "meta":
            for parameter in network.parameters():
                parameter.grad = torch.full_like(parameter, 0.5)
        next(network.parameters()).requires_grad_(False)
        network.features.train()
        network.head.eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.25
            if isinstance(module, spaces.Auxiliary):
                module.active = True
        self.before = self._now()

    def _now(self) -> list[Any]:
        modules = [(m, m.training, dict(vars(m))) for m in self.network.modules()]
        hooks = [(m._forward_hooks, m._forward_pre_hooks, m._backward_hooks) for m, _, _ in modules]
        settings = [
            (training, {k: v for k, v in values.items() if isinstance(v, bool | int | float | str)})
            for _, training, values in modules
        ]
        tensors = [*self.network.parameters(), *self.network.buffers()]
        values = [(id(t), t.dtype, t.requires_grad, t.is_meta or t.detach().clone(), t.grad) for t in tensors]
        gradients = [t.grad.clone() for t in tensors if t.grad is not None]
        numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
        return [copy.deepcopy(hooks), settings, values, gradients, torch.get_rng_state(), str(numpy_state)]

    def assert_none(self) -> None:
        after = self._now()
        for before, now in zip(self.before, after, strict=True):
            assert _equal(before, now)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return a.is_meta or torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)


def test_it_leaves_everything_as_found(proxy: Proxy, network: Network, batch: Batch) -> None:
    traces = Traces(network)
    score(proxy, network, batch)
    traces.assert_none()


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("broken on purpose")


@pytest.mark.parametrize("place", [1, 3])
def test_it_leaves_everything_as_found_when_it_fails(proxy: Proxy, batch: Batch, place: int) -> None:
    network = ready(proxy, meta("residual"))
    assert isinstance(network.features, nn.Sequential)
    network.features.insert(place, Broken())
    traces = Traces(network)
    with suppress(RuntimeError, ScoreUndefined):
        score(proxy, network, batch)
    traces.assert_none()


@pytest.fixture(params=[name for name in proxies.names() if "gradients" in proxies.load(name).needs])
def proxy_of_gradients(request: pytest.FixtureRequest) -> Proxy:
    return proxies.load(request.param)


@pytest.mark.parametrize("name", ["with batch norm", "without norm", "residual"])
def test_a_dead_network_has_no_score_of_gradients(proxy_of_gradients: Proxy, batch: Batch, name: str) -> None:
    network = ready(proxy_of_gradients, meta(name))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    with pytest.raises(ScoreUndefined, match=r"\w+ \w+"):
        score(proxy_of_gradients, network, batch)


def test_a_choice_that_it_does_not_know_is_the_users_error(proxy: Proxy, batch: Batch) -> None:
    parameters = inspect.signature(proxy.score).parameters
    for choice in [name for name in ("mode", "precision", "statistics", "statistic") if name in parameters]:
        network = ready(proxy, meta("residual"))
        with pytest.raises(UserError, match=f"`{choice}` must be one of .*, but got 'best'"):
            proxy.score(network, batch, generator(), **{choice: "best"})


@pytest.fixture(scope="module", params=spaces.names())
def sample(request: pytest.FixtureRequest) -> Callable[[], tuple[Network, Batch]]:
    """The cheapest of some architectures of a space, for the smallest images that it takes; and four of them."""
    space, rng = spaces.load(request.param), numpy_generator(SEED, request.param)
    tasks = [Task(3, side, side, 2) for side in (8, 16, 32, 64)]
    drawn = [(a, t) for a in (space.sample(rng) for _ in range(12)) for t in tasks if space.violation(a, t) is None]
    empty = {t: Batch(torch.empty(1, 3, t.height, t.width, device="meta"), torch.empty(0)) for t in tasks}
    flops = proxies.load("flops").score
    architecture, task = min(drawn, key=lambda pair: flops(space.network(*pair), empty[pair[1]], generator()))
    images = torch.randn(4, 3, task.height, task.width, generator=generator())
    return lambda: (space.network(architecture, task), Batch(images, torch.tensor([0, 1, 0, 1])))


def test_it_scores_every_search_space_or_says_why_not(
    proxy: Proxy, sample: Callable[[], tuple[Network, Batch]]
) -> None:
    network, images = sample()
    with suppress(ScoreUndefined):
        assert math.isfinite(score(proxy, ready(proxy, network), images))
