"""Values of proxies on one network: costs once, all others sampled over fresh weights."""

import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from numbers import Real
from typing import TypeVar

import torch

from zenfront.pipeline.device import deterministic_algorithms
from zenfront.pipeline.errors import ScoreUndefined, TimeIsUp, reason, shortened
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.proxies._containment import PARAMETERS, Picture, contained, is_foreign
from zenfront.pipeline.proxies._devices import PATIENCE, device_of
from zenfront.pipeline.record.kept_values import KeptValues
from zenfront.pipeline.seeds import seed_for, torch_generator
from zenfront.spaces import Init, Network

Result = TypeVar("Result")


@dataclass
class Measurement:
    """Takes proxies on one network and collects what comes of it.

    Attributes:
        batch: The mini-batch. It is copied for every proxy unless it is on `device`.
        seed: Root of all randomness.
        key: Names the network in the seeds: an architecture's id.
        repeats: Number of samples of each proxy, with fresh weights, or the numbers by proxy, 1 if not given; costs
            are taken once.
        options: Keyword arguments of the proxies, by name.
        device: Device of the network.
        init_device: Device of the generator that draws the weights: the CPU, or `device`.
        tf32: Whether a GPU may compute convolutions in TF32.
        keep_partial: Note the reason of an undefined score in `undefined` and go on, instead of raising it.
        alone: Whether nothing else uses the GPU: a score that finds too little memory is then undefined.
        kept: Values that were measured on devices before, if any are kept.
        values: Value by proxy, finite; the mean of the samples.
        errors: Standard error by proxy, with two or more samples.
        seconds: Wall-clock seconds by proxy; building the network and drawing its weights is ``build``.
        undefined: Reason by proxy.
    """

    batch: Batch
    seed: int
    key: str
    repeats: int | Mapping[str, int] = 1
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    device: str = "cpu"
    init_device: str = "cpu"
    tf32: bool = False
    keep_partial: bool = False
    alone: bool = False
    kept: KeptValues | None = None
    values: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)

    def take_costs(self, costs: Sequence[Proxy], networks: "Lender") -> None:
        """Take proxies that need no weights.

        Args:
            costs: The proxies.
            networks: Lends a network on the meta device.

        Raises:
            ScoreUndefined: A cost is undefined, unless `keep_partial`.
        """
        for proxy in costs:
            with self._noted(proxy.name):
                self.values[proxy.name] = self._take(proxy, networks, 0)

    def take_samples(self, proxies: Sequence[Proxy], networks: "Lender") -> None:
        """Take proxies that need weights; measured ones come last, as the devices need not wait for what fails before.

        Args:
            proxies: The proxies.
            networks: Lends a network on `device`.

        Raises:
            ScoreUndefined: A score is undefined, unless `keep_partial`.
            torch.OutOfMemoryError: The GPU has not enough memory left, unless `alone`.
        """
        samples: dict[str, list[float]] = {proxy.name: [] for proxy in proxies}
        for repeat in range(max((self._repeats_of(proxy) for proxy in proxies), default=0)):
            due = sorted((p for p in proxies if repeat < self._repeats_of(p)), key=lambda proxy: proxy.measured)
            for group in dict.fromkeys((proxy.measured, proxy.weights) for proxy in due):
                for proxy in due:
                    if (proxy.measured, proxy.weights) == group and proxy.name not in self.undefined:
                        with self._noted(proxy.name):
                            samples[proxy.name].append(self._take(proxy, networks, repeat))
        for name, sample in samples.items():
            if name not in self.undefined:
                self._summarise(name, sample)

    def attempt(self, name: str, work: Callable[[], Result], *, foreign: bool) -> Result:
        """Return the result of a piece of work whose seconds are counted under a name.

        Args:
            name: Name of the work, with which a reason begins.
            work: The work.
            foreign: Whether it runs code of other authors. Whatever that raises is a failure, unless a signal has
                raised it, and the global state of the process is restored.

        Raises:
            ScoreUndefined: The work raised; its error is the reason.
            TimeIsUp: The time limit was reached.
            torch.OutOfMemoryError: The GPU has not enough memory left, unless `alone`.
        """
        seed = seed_for(self.seed, self.key, name, "global generators")
        guard: AbstractContextManager[list[int]] = contained(seed, self.device) if foreign else nullcontext([])
        with _timed(self.seconds, name), guard as signals:
            try:
                return work()
            except TimeIsUp as late:
                raise TimeIsUp(f"{name}: TimeoutError: {late}") from late
            except torch.OutOfMemoryError as error:
                if not self.alone:
                    raise  # other work on the GPU may be the cause
                raise ScoreUndefined(shortened(f"{name}: out of GPU memory: {error}")) from error
            except BaseException as error:
                if signals or not (foreign or isinstance(error, Exception)):
                    raise
                raise ScoreUndefined(reason(error, name)) from error

    def _repeats_of(self, proxy: Proxy) -> int:
        return self.repeats if isinstance(self.repeats, int) else self.repeats.get(proxy.name, 1)

    def _take(self, proxy: Proxy, networks: "Lender", repeat: int) -> float:
        device = device_of(proxy, self.options.get(proxy.name, {}))
        if self.kept is None or device is None:
            return self._taken(proxy, networks, repeat)
        key = self._key(proxy, repeat)
        return self.kept.recall(device, key, lambda: self._taken(proxy, networks, repeat))

    def _key(self, proxy: Proxy, repeat: int) -> str:
        """Return a text that tells measurements apart; a change of the patience with a device makes no new one."""
        asked = {name: value for name, value in self.options[proxy.name].items() if name not in PATIENCE}
        return json.dumps([self.key, proxy.name, asked, repeat], sort_keys=True)

    def _taken(self, proxy: Proxy, networks: "Lender", repeat: int) -> float:
        generator = torch_generator(self.seed, self.key, proxy.name, str(repeat), device=self.device)
        options = self.options.get(proxy.name, {})
        batch, foreign = self.batch.to("meta" if proxy.is_cost else self.device), is_foreign(proxy.score)
        given = batch.copy() if foreign else batch
        exact = deterministic_algorithms(self.device, tf32=self.tf32)
        with networks.lend(self, proxy, repeat) as network, exact:
            value = self.attempt(
                proxy.name,
                lambda: _finite(proxy.score(network, given, generator, **options)),
                foreign=foreign or networks.foreign,
            )
        if given is not batch and not given.equals(batch):
            raise ScoreUndefined(f"{proxy.name}: the score changed the mini-batch, which it must leave as it is")
        return value

    def _summarise(self, name: str, sample: Sequence[float]) -> None:
        self.values[name] = statistics.fmean(sample)
        if len(sample) > 1:
            self.errors[name] = statistics.stdev(sample) / math.sqrt(len(sample))

    @contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        try:
            yield
        except ScoreUndefined as undefined:
            if not self.keep_partial:
                raise
            self.undefined[name] = str(undefined)


class Lender:
    """Lends a network to one proxy after the other. One that a proxy failed on, or changed, is not lent again.

    Args:
        build: Returns a network whose weights have not been drawn: on the meta device, say.
        draw: Gives a network fresh weights: (network, generator, initialisation).
        foreign: Whether the network, or what builds it, is code of other authors.
    """

    def __init__(
        self,
        build: Callable[[], Network],
        draw: Callable[[Network, torch.Generator, Init], None] | None = None,
        *,
        foreign: bool,
    ) -> None:
        self.foreign = foreign
        self._build, self._draw = build, draw
        self._network: Network | None = None
        self._drawn: tuple[Init, int] | None = None
        self._picture: Picture | None = None

    @contextmanager
    def lend(self, taken: Measurement, proxy: Proxy, repeat: int) -> Iterator[Network]:
        """Yield a network with the weights of a repeat, unless the proxy is a cost, which needs none.

        Raises:
            ScoreUndefined: The network cannot be built; or a proxy that is not part of Zenfront has changed it.
        """
        network, self._network = self._ready(taken, proxy, repeat), None
        watched = self.foreign or is_foreign(proxy.score)
        if watched and not self._picture:
            self._picture = Picture(network)
        yield network
        change = self._picture.change() if watched and self._picture else None
        if not change:
            self._network = network
        elif is_foreign(proxy.score) and (change == PARAMETERS or not self.foreign):
            raise ScoreUndefined(f"{proxy.name}: the score changed the network, which it must leave as it is: {change}")

    def _ready(self, taken: Measurement, proxy: Proxy, repeat: int) -> Network:
        network = self._network
        if network is None:
            network = taken.attempt("build", self._build, foreign=self.foreign)
            self._drawn = self._picture = None
        if proxy.weights != "none" and self._draw and self._drawn != (proxy.weights, repeat):
            weights, draw = proxy.weights, self._draw
            generator = torch_generator(taken.seed, taken.key, weights, str(repeat), device=taken.init_device)
            taken.attempt("build", lambda: draw(network, generator, weights), foreign=self.foreign)
            self._drawn, self._picture = (weights, repeat), None
        return network


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
