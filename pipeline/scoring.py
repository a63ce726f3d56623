"""Scores of one architecture: the network is built where it is needed and thrown away."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.errors import ScoreUndefined, TimeIsUp, shortened
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.measurement import Lender, Measurement
from zenfront.pipeline.objectives import Constraint
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.proxies._containment import is_foreign, kept_generators
from zenfront.pipeline.proxies._devices import devices_of, modelled
from zenfront.pipeline.record.kept_values import KeptValues
from zenfront.pipeline.record.pilot import COST, REPEATS
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.structure.graph import graph_row
from zenfront.pipeline.supernet.shared_weights import SharedWeights
from zenfront.pipeline.training import data
from zenfront.pipeline.user_code import UserCode
from zenfront.spaces import Architecture, Init, Network, Space, Task, initialise

Repeats = int | Mapping[str, int]
"""Number of samples of every score, or of each by name, 1 if it is not given."""
Place = Literal["cpu", "device"]


@dataclass(frozen=True)
class Scoring:
    """Scores to take, and the settings that are the same for every architecture of a search.

    Attributes:
        space: Search space.
        task: Input shape and number of outputs.
        names: Names of the scores.
        batch: Mini-batch on the CPU; its images are real if a proxy needs real ones and the task has classes.
        seed: Root of all randomness.
        constraints: An architecture whose costs violate one is not scored further.
        repeats: Number of samples of each proxy, with fresh weights, or the numbers by proxy.
        options: Keyword arguments of the proxies, by name.
        device: Device of the networks.
        init_device: Whether weights are drawn on the CPU, so that they are the same on every device, or on `device`.
        tf32: Whether a GPU may compute convolutions in TF32.
        keep_partial: Keep the scores that are defined if another is not; a search needs all or none.
        code: Code of the experiment, which a worker loads from its source.
        describe: Whether to count the graphs of the networks, from which models learn.
        kept: Folder of the values that were measured on devices; none are kept if it is not given.
        shared: Weights of the supernet, for the scores that are taken with them.
    """

    space: Space
    task: Task
    names: Sequence[str]
    batch: Batch
    seed: int
    constraints: Sequence[Constraint] = ()
    repeats: Repeats = 1
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    device: str = "cpu"
    init_device: Place = "cpu"
    tf32: bool = False
    keep_partial: bool = False
    code: Sequence[UserCode] = ()
    describe: bool = False
    kept: Path | None = None
    shared: SharedWeights | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields, with a space of the experiment's own by its name: its module is not importable."""
        cached = ("_proxies", "_kept", "_foreign", "_batch_there")
        state = {name: value for name, value in vars(self).items() if name not in cached}
        own = any((each.kind, each.name) == ("spaces", self.space.name) for each in self.code)
        return state | ({"space": self.space.name} if own else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        space = state["space"]
        vars(self).update(state | {"space": spaces.load(space, state["code"]) if isinstance(space, str) else space})

    def repeated(self, repeats: Repeats | None) -> "Scoring":
        """Return the scoring with a number of samples; None: as a pilot takes them.

        A pilot takes the FLOPs and three samples of every score that depends on the weights, whichever is undefined.
        """
        if repeats is not None:
            return replace(self, repeats=repeats)
        noisy = [proxy.name for proxy in self._proxies if proxy.is_noisy]
        return replace(self, names=[*noisy, COST], repeats=REPEATS, keep_partial=True)

    @staticmethod
    def of(experiment: Experiment) -> "Scoring":
        """Return the scoring of an experiment, with real images only if a proxy needs them.

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
            repeats=1 if experiment.search.repeats == "auto" else experiment.search.repeats,
            options=experiment.proxies,
            device=experiment.resources.device,
            init_device=experiment.search.init_device,
            tf32=experiment.search.tf32,
            code=experiment.own_code(),
            describe=experiment.select.rounds > 1,
        )

    def score(self, architecture: Architecture) -> Scores:
        """Take the scores of one architecture; costs come first, on the meta device.

        The value of a score depends on the seed, the architecture and the proxy alone: not on the worker, the order, a
        retry, or which other proxies are taken.

        Returns:
            All scores; or the costs alone if they violate a constraint; or the reason of failure. With `keep_partial`,
            the scores that are defined, and why the others are not.

        Raises:
            torch.OutOfMemoryError: The GPU has not enough memory left; alone on it, the architecture may have a score.
        """
        partial = self.keep_partial
        taken = Measurement(
            self._batch_there,
            self.seed,
            architecture.id,
            self.repeats,
            self.options,
            self.device,
            init_device=self.device if self.init_device == "device" else "cpu",
            tf32=self.tf32,
            keep_partial=partial,
            kept=self._kept,
        )
        reason = ""
        try:
            with kept_generators(self.device) if self._foreign else nullcontext():
                graph = self._measure(architecture, taken)
        except (ScoreUndefined, TimeIsUp) as error:
            graph, reason = (), str(error)
        if reason and not partial:
            return Scores(architecture, {}, reason, self.seed, seconds=taken.seconds)
        undefined = {
            name: taken.undefined.get(name, reason)
            for name in self.names
            if name in taken.undefined or (reason and name not in taken.values)
        }
        failure = None if taken.values else next(iter(undefined.values()))
        return Scores(
            architecture, taken.values, failure, self.seed, taken.errors, taken.seconds, undefined, graph=graph
        )

    def _measure(self, architecture: Architecture, taken: Measurement) -> tuple[float, ...]:
        """Take all scores; return the counts of the graph of a feasible network, if they are asked for."""
        foreign = is_foreign(self.space.build)
        if violation := taken.attempt("build", lambda: self.space.violation(architecture, self.task), foreign=foreign):
            raise ScoreUndefined(shortened(violation))

        def build() -> Network:
            return self.space.network(architecture, self.task)

        def draw(network: Network, generator: torch.Generator, weights: Init) -> None:
            initialise(network, generator, weights, self.device)

        networks = Lender(build, draw, foreign=foreign)
        outlines = networks if foreign else Lender(lambda: self.space.outline(architecture, self.task), foreign=False)
        for proxy in self._proxies:
            if proxy.is_cost:
                taken.take_costs([proxy], outlines if proxy.adds_up else networks)
        if not self._feasible(taken.values):
            return ()
        taken.take_samples([proxy for proxy in self._proxies if not (proxy.is_cost or proxy.of_supernet)], networks)
        self._take_with_shared_weights(architecture, taken, Lender(build, self._give(architecture), foreign=foreign))
        return self._graph(build, taken, foreign) if self.describe else ()

    def _give(self, architecture: Architecture) -> Callable[[Network, torch.Generator, Init], None]:
        def give(network: Network, generator: torch.Generator, weights: Init) -> None:
            assert self.shared
            self.shared.give(network, architecture, self.device)

        return give

    def _take_with_shared_weights(self, architecture: Architecture, taken: Measurement, networks: Lender) -> None:
        """Take the scores with the weights of the supernet, once: they do not depend on a draw."""
        wanted = [proxy for proxy in self._proxies if proxy.of_supernet]
        if wanted and self.shared:
            replace(taken, batch=self.shared.validation, repeats=1).take_samples(wanted, networks)

    def _graph(self, build: Callable[[], Network], taken: Measurement, foreign: bool) -> tuple[float, ...]:
        """Return the counts of the graph; none if it has a layer of unknown cost or cannot be followed."""
        shape = (self.task.channels, self.task.height, self.task.width)
        try:
            return tuple(taken.attempt("graph", lambda: graph_row(build(), shape), foreign=foreign).tolist())
        except ScoreUndefined:
            return ()

    @cached_property
    def _foreign(self) -> bool:
        return is_foreign(self.space.build) or any(is_foreign(proxy.score) for proxy in self._proxies)

    @cached_property
    def _proxies(self) -> Sequence[Proxy]:
        """Loaded once: looking a name up lists folders, which takes longer than a cost."""
        return [proxies.load(name, self.code) for name in self.names]

    @cached_property
    def _batch_there(self) -> Batch:
        """The mini-batch on the device of the networks, copied once for all candidates."""
        return self.batch.to(self.device)

    @cached_property
    def _kept(self) -> KeptValues | None:
        own = sorted(each.digest[:16] for each in self.code if (each.kind, each.name) == ("spaces", self.space.name))
        return KeptValues.of(self.kept, f"{self.task} {' '.join(own)}".strip()) if self.kept else None

    @property
    def devices(self) -> Sequence[str]:
        """Names of the devices that the scores are measured on."""
        return devices_of(self._proxies, self.options)

    @property
    def modelled(self) -> Mapping[str, int]:
        """Number of architectures that are measured for each score which a search predicts."""
        return modelled(self._proxies, self.options)

    def _feasible(self, costs: Mapping[str, float]) -> bool:
        return not any(c.excess(costs[c.score]) for c in self.constraints if c.score in costs)


def _batch(experiment: Experiment, names: Sequence[str]) -> Batch:
    task, settings = experiment.task, experiment.search
    looked_at = any(proxies.load(name, experiment.code).needs & {"images", "labels"} for name in names)
    if not looked_at or task.classes is None:  # with outputs, the images are those of the training function
        return noise_batch(task, settings.batch, settings.seed)
    images = data.load(experiment.train.data, task, settings.seed)
    return Batch(*data.proxy_batch(images, settings.batch, settings.seed))


def noise_batch(task: Task, size: int, seed: int) -> Batch:
    """Return a mini-batch of standard normal images and uniform labels, for proxies that need no data.

    The labels of a task without classes are all 0.
    """
    generator = torch_generator(seed, "noise batch")
    images = torch.randn(size, task.channels, task.height, task.width, generator=generator)
    return Batch(images, torch.randint(task.classes or 1, (size,), generator=generator))
