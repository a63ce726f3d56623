"""Scores of one architecture: the network is built where it is needed and thrown away."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import Any, TypeVar

import torch

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Constraint
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.results import Scores
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.training import data
from zenfront.pipeline.user_code import UserCode
from zenfront.spaces import Architecture, Network, Space, Task, initialise

Result = TypeVar("Result")


@dataclass(frozen=True)
class Scoring:
    """What is to be scored, and how; the same for every architecture of a search.

    Attributes:
        space: The search space.
        task: Input shape and classes.
        names: Scores to take.
        batch: The mini-batch, on the CPU; its images are real if a proxy needs them to be.
        seed: Root of all randomness.
        constraints: An architecture whose costs violate one is not scored further.
        repeats: How often each proxy is taken, with fresh weights.
        options: Keyword arguments of the proxies, by name.
        device: Of the networks.
        keep_partial: Keep the scores that are defined if another is not; a search wants all or none.
        code: Code of the experiment, which a worker loads from its source.
    """

    space: Space
    task: Task
    names: Sequence[str]
    batch: Batch
    seed: int
    constraints: Sequence[Constraint] = ()
    repeats: int = 1
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    device: str = "cpu"
    keep_partial: bool = False
    code: Sequence[UserCode] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields, with a space of the experiment's own by its name: its module is not importable."""
        state = {name: value for name, value in vars(self).items() if name != "_proxies"}
        own = any((each.kind, each.name) == ("spaces", self.space.name) for each in self.code)
        return state | ({"space": self.space.name} if own else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        space = state["space"]
        vars(self).update(state | {"space": spaces.load(space, state["code"]) if isinstance(space, str) else space})

    @staticmethod
    def of(experiment: Experiment) -> "Scoring":
        """Return what the workers of an experiment need to know; real images only if a proxy asks for them.

        Raises:
            UserError: The images that a proxy needs cannot be read.
        """
        task, names = experiment.task, experiment.score_names()
        return Scoring(
            space=spaces.load(experiment.space, experiment.code),
            task=task,
            names=names,
            batch=_batch(experiment, names),
            seed=experiment.search.seed,
            constraints=experiment.constraints,
            repeats=experiment.search.repeats,
            options=experiment.proxies,
            device=experiment.resources.device,
            code=experiment.code,
        )

    def score(self, architecture: Architecture) -> Scores:
        """Takes the scores of one architecture. Costs come first, on the meta device.

        The value of a score depends on the seed, the architecture and the proxy, and on nothing else: not on
        the worker, the order, a retry, or which other proxies are taken.

        Returns:
            All scores; or the costs alone where they violate a constraint; or the reason of failure.

        Raises:
            torch.OutOfMemoryError: The GPU has not enough memory left: alone on it, the architecture may have a score.
        """
        seconds: dict[str, float] = {}
        try:
            return self._score(architecture, seconds)
        except ScoreUndefined as reason:
            if self.keep_partial and len(self.names) > 1:
                return self._each_alone(architecture)
            return Scores(architecture, {}, str(reason), self.seed, seconds=seconds)

    def _each_alone(self, architecture: Architecture) -> Scores:
        """The scores that are defined; a value does not depend on which others are taken."""
        alone = {name: replace(self, names=[name]).score(architecture) for name in self.names}
        undefined = {name: scores.failure for name, scores in alone.items() if scores.failure}
        return Scores(
            architecture,
            {name: value for scores in alone.values() for name, value in scores.values.items()},
            next(iter(undefined.values())) if len(undefined) == len(alone) else None,
            self.seed,
            {name: error for scores in alone.values() for name, error in scores.errors.items()},
            {name: taken for scores in alone.values() for name, taken in scores.seconds.items()},
            undefined,
        )

    def _score(self, architecture: Architecture, seconds: dict[str, float]) -> Scores:
        if violation := self.space.violation(architecture, self.task):
            raise ScoreUndefined(violation)
        values: dict[str, float] = {}
        errors: dict[str, float] = {}
        with _timed(seconds, "build"):
            network = _attempt("build", lambda: self.space.network(architecture, self.task))
        for proxy in (proxy for proxy in self._proxies if proxy.is_cost):
            values[proxy.name] = self._take(proxy, network, architecture, 0, seconds)
        if self._feasible(values):
            self._sample(
                [proxy for proxy in self._proxies if not proxy.is_cost], network, architecture, values, errors, seconds
            )
        return Scores(architecture, values, None, self.seed, errors, seconds)

    @cached_property
    def _proxies(self) -> Sequence[Proxy]:
        """Loaded once: to look a name up is to list folders, which takes longer than a cost."""
        return [proxies.load(name, self.code) for name in self.names]

    def _feasible(self, costs: Mapping[str, float]) -> bool:
        return not any(c.excess(costs[c.score]) for c in self.constraints if c.score in costs)

    def _sample(
        self,
        loaded: Sequence[Proxy],
        network: Network,
        architecture: Architecture,
        values: dict[str, float],
        errors: dict[str, float],
        seconds: dict[str, float],
    ) -> None:
        taken: dict[str, list[float]] = {proxy.name: [] for proxy in loaded}
        for repeat in range(self.repeats):
            for weights in dict.fromkeys(proxy.weights for proxy in loaded):
                assert weights != "none"
                with _timed(seconds, "build"):
                    generator = torch_generator(self.seed, architecture.id, weights, str(repeat))
                    initialise(network, generator, weights, self.device)
                for proxy in (proxy for proxy in loaded if proxy.weights == weights):
                    taken[proxy.name].append(self._take(proxy, network, architecture, repeat, seconds))
        for name, sample in taken.items():
            values[name] = statistics.fmean(sample)
            if self.repeats > 1:
                errors[name] = statistics.stdev(sample) / math.sqrt(self.repeats)

    def _take(
        self, proxy: Proxy, network: Network, architecture: Architecture, repeat: int, seconds: dict[str, float]
    ) -> float:
        generator = torch_generator(self.seed, architecture.id, proxy.name, str(repeat), device=self.device)
        options = self.options.get(proxy.name, {})
        batch = self.batch.to("meta" if proxy.is_cost else self.device)
        with _timed(seconds, proxy.name):
            return _attempt(proxy.name, lambda: _finite(proxy.score(network, batch, generator, **options)))


def _finite(value: object) -> float:
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ScoreUndefined(f"the value is {str(value)[:60]}")
    return float(value)


def _batch(experiment: Experiment, names: Sequence[str]) -> Batch:
    task, settings = experiment.task, experiment.search
    if not any(proxies.load(name, experiment.code).needs & {"images", "labels"} for name in names):
        return noise_batch(task, settings.batch, settings.seed)
    images = data.load(experiment.train.data, task, settings.seed)
    return Batch(*data.proxy_batch(images, settings.batch, settings.seed))


def noise_batch(task: Task, size: int, seed: int) -> Batch:
    """A mini-batch of standard normal images and uniform labels, for proxies that need no data."""
    generator = torch_generator(seed, "noise batch")
    images = torch.randn(size, task.channels, task.height, task.width, generator=generator)
    return Batch(images, torch.randint(task.classes, (size,), generator=generator))


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Adds the wall-clock seconds of a block to an entry."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start


def _attempt(name: str, work: Callable[[], Result]) -> Result:
    """The result of a piece of work on one candidate; whatever it does wrong becomes its reason."""
    try:
        return work()
    except ScoreUndefined as reason:
        raise ScoreUndefined(f"{name}: {reason}") from reason
    except torch.OutOfMemoryError:  # the neighbours on the GPU may be at fault
        raise
    except Exception as error:
        raise ScoreUndefined(f"{name}: {type(error).__name__}: {error}") from error
