"""Every proxy keeps the contract of `zenfront.testing`. A new proxy is covered by being there."""

import inspect

import pytest

from zenfront.pipeline import proxies
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.testing import ProxyTestCase
from zenfront.testing._networks import generator, meta, ready


class TestEveryProxy(ProxyTestCase):
    @pytest.fixture(params=proxies.names())
    def proxy(self, request: pytest.FixtureRequest) -> Proxy:
        return proxies.load(request.param)

    def test_its_module_is_named_after_it(self, proxy: Proxy) -> None:
        assert proxies.load(proxy.name) is proxy

    def test_its_docstring_has_the_sections_of_the_project(self, proxy: Proxy) -> None:
        text = inspect.getdoc(proxy.score) or ""
        for part in ("Args:", "network:", "batch:", "generator:", "Returns:", "Source:"):
            assert part in text

    def test_a_choice_that_it_does_not_know_is_the_users_error(self, proxy: Proxy, batch: Batch) -> None:
        parameters = inspect.signature(proxy.score).parameters
        for choice in [
            name for name in ("mode", "method", "precision", "statistics", "statistic") if name in parameters
        ]:
            network = ready(proxy, meta("residual"))
            with pytest.raises(UserError, match=f"`{choice}` must be one of .*, but got 'best'"):
                proxy.score(network, batch, generator(), **{choice: "best"})
