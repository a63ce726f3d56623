"""Devices that measurements use, and scores that are predicted from some measurements."""

from collections.abc import Iterable, Mapping, Sequence

from zenfront.pipeline.proxies._proxy import Proxy

PATIENCE = ("timeout", "retries", "pause", "model")
"""Options that change how a value is obtained, and not what it is."""
Options = Mapping[str, Mapping[str, object]]


def device_of(proxy: Proxy, options: Mapping[str, object]) -> str | None:
    """Return the name of the device that a measurement uses alone; None: the machine that scores."""
    return str(options["device"]) if proxy.measured and options.get("device") else None


def devices_of(loaded: Iterable[Proxy], options: Options) -> Sequence[str]:
    """Return the names of the devices that some proxies measure on, each once."""
    named = (device_of(proxy, options.get(proxy.name, {})) for proxy in loaded)
    return list(dict.fromkeys(name for name in named if name))


def modelled(loaded: Iterable[Proxy], options: Options) -> dict[str, int]:
    """Return how many architectures are measured for each score that a search predicts."""
    counts = {proxy.name: options.get(proxy.name, {}).get("model") for proxy in loaded if proxy.measured}
    return {name: count for name, count in counts.items() if isinstance(count, int) and not isinstance(count, bool)}
