"""The contract of a proxy, on networks of every kind."""

import inspect
import math
from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.spaces import Network
from zenfront.testing._networks import BODIES, batch_of, cheap, meta, ready, score
from zenfront.testing._traces import Traces


class _Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("broken on purpose")


class ProxyTestCase:
    """The contract of a proxy; define the fixture ``proxy``."""

    @pytest.fixture
    def proxy(self) -> Proxy:
        """The proxy."""
        raise NotImplementedError("define the fixture `proxy`, which returns the proxy")

    @pytest.fixture(params=BODIES, ids=lambda name: name.replace(" ", "-"))
    def network(self, request: pytest.FixtureRequest, proxy: Proxy) -> Network:
        """A small network of every kind, with the weights that the proxy asks for."""
        return ready(proxy, meta(request.param))

    @pytest.fixture
    def batch(self) -> Batch:
        """Eight images of two classes."""
        return batch_of(8)

    def test_it_says_what_it_is(self, proxy: Proxy) -> None:
        """Unit, source and direction are stated, and every option has a default and is described."""
        assert proxy.unit
        assert proxy.source
        assert proxy.direction in ("maximise", "minimise")
        text = inspect.getdoc(proxy.score) or ""
        assert text
        for option in inspect.signature(proxy.score).parameters.values():
            if option.kind is option.KEYWORD_ONLY:
                assert option.default is not option.empty
                assert f"{option.name}: " in text

    def test_it_is_a_finite_number(self, proxy: Proxy, network: Network, batch: Batch) -> None:
        """The score is a finite float."""
        value = score(proxy, network, batch)
        assert isinstance(value, float)
        assert math.isfinite(value)

    def test_it_is_the_same_again(self, proxy: Proxy, batch: Batch) -> None:
        """The same weights, images and generator give the same bits, unless the score measures time."""
        for name in BODIES:
            first = score(proxy, ready(proxy, meta(name)), batch)
            second = score(proxy, ready(proxy, meta(name)), batch)
            assert first == second or proxy.measured

    def test_it_does_not_depend_on_what_was_scored_before(self, proxy: Proxy, batch: Batch) -> None:
        """Neither other scores of the network nor the global generator change it."""
        alone = score(proxy, ready(proxy, meta("dropout")), batch)
        network = ready(proxy, meta("dropout"))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(99)
            for other in map(proxies.load, proxies.names()):
                if other.is_cost == proxy.is_cost:
                    score(other, network, batch)
                    score(other, ready(other, meta("residual"), seed=5), batch)
            assert score(proxy, network, batch) == alone or proxy.measured

    def test_it_leaves_everything_as_found(self, proxy: Proxy, network: Network, batch: Batch) -> None:
        """Weights, gradients, modes, hooks and global generators are as they were."""
        traces = Traces(network)
        score(proxy, network, batch)
        traces.assert_none()

    @pytest.mark.parametrize("place", [1, 3])
    def test_it_leaves_everything_as_found_when_it_fails(self, proxy: Proxy, batch: Batch, place: int) -> None:
        """The same after an error in the network."""
        network = ready(proxy, meta("residual"))
        assert isinstance(network.features, nn.Sequential)
        network.features.insert(place, _Broken())
        traces = Traces(network)
        with suppress(RuntimeError, ScoreUndefined):
            score(proxy, network, batch)
        traces.assert_none()

    @pytest.mark.parametrize("name", ["with batch norm", "without norm", "residual"])
    def test_a_dead_network_has_no_score_of_gradients(self, proxy: Proxy, batch: Batch, name: str) -> None:
        """With all weights zero a score of gradients is undefined, and says why."""
        if "gradients" not in proxy.needs:
            return
        network = ready(proxy, meta(name))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
        with pytest.raises(ScoreUndefined, match=r"\w+ \w+"):
            score(proxy, network, batch)

    @pytest.mark.parametrize("name", spaces.names())
    def test_it_scores_every_search_space_or_says_why_not(self, proxy: Proxy, name: str) -> None:
        """On a network of every search space the score is finite, or undefined for a stated reason."""
        network, task = cheap(name, proxy.is_cost)
        with suppress(ScoreUndefined):
            assert math.isfinite(score(proxy, ready(proxy, network), batch_of(4, task)))
