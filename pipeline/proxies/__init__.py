"""Training-free scores and costs. A module without underscore is one; it exports ``PROXY``."""

from zenfront.pipeline.proxies._proxy import Batch, Proxy, Weights
from zenfront.pipeline.registry import Registry

PROXIES = Registry("zenfront.pipeline.proxies", "PROXY", "proxy")


def names() -> list[str]:
    """The names of all proxies."""
    return PROXIES.names()


def load(name: str) -> Proxy:
    """The proxy of that name; `UserError` lists the known ones."""
    proxy: Proxy = PROXIES.load(name)
    return proxy


__all__ = ["PROXIES", "Batch", "Proxy", "Weights", "load", "names"]
