"""Training-free scores and costs. A module without underscore is one; it exports ``PROXY``."""

from collections.abc import Sequence

from zenfront.pipeline.proxies._proxy import Batch, Need, Proxy, Weights
from zenfront.pipeline.proxies._reliability import MeasuredReliability, measured_reliability
from zenfront.pipeline.registry import Registry
from zenfront.pipeline.user_code import UserCode

PROXIES = Registry("zenfront.pipeline.proxies", "PROXY", "proxy", Proxy)


def names(code: Sequence[UserCode] = ()) -> list[str]:
    """Return the names of all proxies, with those of an experiment's own code."""
    return PROXIES.names(code)


def load(name: str, code: Sequence[UserCode] = ()) -> Proxy:
    """Return the proxy of that name; `code` is the experiment's own.

    Raises:
        UserError: There is no such proxy, or its code cannot be loaded.
    """
    proxy: Proxy = PROXIES.load(name, code)
    return proxy


__all__ = [
    "PROXIES",
    "Batch",
    "MeasuredReliability",
    "Need",
    "Proxy",
    "Weights",
    "load",
    "measured_reliability",
    "names",
]
