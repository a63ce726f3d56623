"""Values of proxies on one network: costs once, all others sampled over fresh weights."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Real
from typing import TypeVar

import torch

from zenfront.pipeline.device import deterministic_algorithms
from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.seeds import torch_generator
from zenfront.spaces import Init, Network

Result = TypeVar("Result")


@dataclass
class Measurement:
    """Takes proxies on one network and collects what comes of it.

    Attributes:
        batch: The mini-batch, on the CPU.
        seed: Root of all randomness.
        key: Names the network in the seeds: an architecture's id.
        repeats: Number of samples of each proxy, with fresh weights; costs are taken once.
        options: Keyword arguments of the proxies, by name.
        device: Device of the network.
        keep_partial: Note the reason of an undefined score in `undefined` and go on, instead of raising it.
        alone: Whether nothing else uses the GPU: a score that finds too little memory is then undefined.
        values: Value by proxy, finite; the mean of the samples.
        errors: Standard error by proxy, with two or more samples.
        seconds: Wall-clock seconds by proxy; building the network and drawing its weights is ``build``.
        undefined: Reason by proxy.
    """

    batch: Batch
    seed: int
    key: str
    repeats: int = 1
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    device: str = "cpu"
    keep_partial: bool = False
    alone: bool = False
    values: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)

    def take_costs(self, costs: Sequence[Proxy], network: Network) -> None:
        """Take proxies that need no weights, on a network on the meta device.

        Raises:
            ScoreUndefined: A cost is undefined, unless `keep_partial`.
        """
        for proxy in costs:
            with self._kept([proxy.name]):
                self.values[proxy.name] = self._take(proxy, network, 0)

    def take_samples(
        self, proxies: Sequence[Proxy], network: Network, draw: Callable[[torch.Generator, Init], None]
    ) -> None:
        """Take proxies that need weights.

        Args:
            proxies: The proxies.
            network: On `device`.
            draw: Gives the network fresh weights: (CPU generator, initialisation).

        Raises:
            ScoreUndefined: A score is undefined, unless `keep_partial`.
            torch.OutOfMemoryError: The GPU has not enough memory left, unless `alone`.
        """
        samples: dict[str, list[float]] = {proxy.name: [] for proxy in proxies}
        for repeat in range(self.repeats):
            for weights in dict.fromkeys(proxy.weights for proxy in proxies):
                assert weights != "none"
                group = [proxy for proxy in proxies if proxy.weights == weights]
                with self._kept([proxy.name for proxy in group]):
                    self._draw(draw, weights, repeat)
                for proxy in (proxy for proxy in group if proxy.name not in self.undefined):
                    with self._kept([proxy.name]):
                        samples[proxy.name].append(self._take(proxy, network, repeat))
        for name, sample in samples.items():
            if name not in self.undefined:
                self._summarise(name, sample)

    def attempt(self, name: str, work: Callable[[], Result]) -> Result:
        """Return the result of a piece of work whose seconds are counted under a name.

        Raises:
            ScoreUndefined: The work raised; its error is the reason.
            torch.OutOfMemoryError: The GPU has not enough memory left, unless `alone`.
        """
        with _timed(self.seconds, name):
            try:
                return work()
            except ScoreUndefined as reason:
                raise ScoreUndefined(f"{name}: {reason}") from reason
            except torch.OutOfMemoryError as error:
                if not self.alone:
                    raise  # other work on the GPU may be the cause
                raise ScoreUndefined(f"{name}: out of GPU memory: {error}") from error
            except Exception as error:
                raise ScoreUndefined(f"{name}: {type(error).__name__}: {error}") from error

    def _draw(self, draw: Callable[[torch.Generator, Init], None], weights: Init, repeat: int) -> None:
        generator = torch_generator(self.seed, self.key, weights, str(repeat))
        self.attempt("build", lambda: draw(generator, weights))

    def _take(self, proxy: Proxy, network: Network, repeat: int) -> float:
        generator = torch_generator(self.seed, self.key, proxy.name, str(repeat), device=self.device)
        options = self.options.get(proxy.name, {})
        batch = self.batch.to("meta" if proxy.is_cost else self.device)
        with deterministic_algorithms(self.device):
            return self.attempt(proxy.name, lambda: _finite(proxy.score(network, batch, generator, **options)))

    def _summarise(self, name: str, sample: Sequence[float]) -> None:
        self.values[name] = statistics.fmean(sample)
        if len(sample) > 1:
            self.errors[name] = statistics.stdev(sample) / math.sqrt(len(sample))

    @contextmanager
    def _kept(self, names: Sequence[str]) -> Iterator[None]:
        try:
            yield
        except ScoreUndefined as reason:
            if not self.keep_partial:
                raise
            self.undefined.update(dict.fromkeys(names, str(reason)))


def _finite(value: object) -> float:
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ScoreUndefined(f"the value is {str(value)[:60]}")
    return float(value)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the wall-clock seconds of a block to an entry."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start
