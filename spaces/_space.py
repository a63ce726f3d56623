"""The search space, defined by flat and static Optuna distributions."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from optuna.distributions import BaseDistribution, IntDistribution

from zenfront.pipeline.errors import UserError
from zenfront.spaces._architecture import Architecture, Gene
from zenfront.spaces._levels import Levels
from zenfront.spaces._network import Network
from zenfront.spaces._outline import outlines
from zenfront.spaces._pasted import literal
from zenfront.spaces._task import Task


def _identity(architecture: Architecture) -> Architecture:
    return architecture


def _no_violation(architecture: Architecture, task: Task) -> str | None:
    return None


def _gene_list(architecture: Architecture) -> str:
    return ",".join(f"{name}={value}" for name, value in architecture.genes)


def _parse_gene_list(text: str) -> dict[str, object]:
    if text.strip().startswith("{"):
        try:
            return {str(name): value for name, value in literal(text.strip()).items()}
        except ValueError as error:
            raise UserError(f"an architecture must have the form gene=value,gene=value, but got {text!r}.") from error
    parts = [part.strip() for part in text.strip().rstrip(",").split(",")]
    pairs = [part.partition("=") for part in parts]
    for place, (part, (_, equals, _)) in enumerate(zip(parts, pairs, strict=True), start=1):
        if not equals:
            raise UserError(
                f"an architecture must have the form gene=value,gene=value, but part {place} of {text!r} is {part!r}."
            )
    return {name.strip(): value.strip() for name, _, value in pairs}


@dataclass(frozen=True)
class Space:
    """A finite, flat and static search space. Canonicalisation resets inactive genes.

    Attributes:
        name: Name in the registry.
        distributions: One discrete Optuna distribution per gene, in a fixed order.
        build: Function (architecture, task) -> Network. It is called under the meta device and must not draw random
            numbers.
        source: Paper and its arXiv number, on one line. The docstring of the module gives details.
        canonical: Function that maps an architecture to the representative of all architectures that build the same
            network.
        violation: Function (architecture, task) that returns the reason why the architecture cannot be built for the
            task, or None.
        notation: Function that writes an architecture in the notation of the field.
        parse: Inverse of `notation`, which returns the genes by name. It raises `UserError` if the text is not in the
            notation.
        mutations: Function that returns the genes of all architectures one mutation away, possibly with repeats, for
            spaces with their own mutation. By default a mutation changes one gene to an adjacent level, or to any other
            category.
        published: Values of genes, by name, that published networks have beyond the distributions. An architecture may
            have them, but no search draws them.
        counted: Number of architectures according to the literature, if it differs from the product of the levels
            because some points are violations or because isomorphic architectures count once.
        sharing: Function (architecture, name of a module in its network) that returns the name under which a supernet
            keeps the weights of the module: two architectures share them if name, kind and shapes are the same. Each
            module of a network needs a name of its own. None: the space has no operations that are chosen at fixed
            places, and a supernet refuses it.
    """

    name: str
    distributions: Mapping[str, BaseDistribution]
    build: Callable[[Architecture, Task], Network]
    source: str
    canonical: Callable[[Architecture], Architecture] = _identity
    violation: Callable[[Architecture, Task], str | None] = _no_violation
    notation: Callable[[Architecture], str] = _gene_list
    parse: Callable[[str], Mapping[str, object]] = _parse_gene_list
    mutations: Callable[[Architecture], Iterable[Mapping[str, object]]] | None = None
    published: Mapping[str, Sequence[Gene]] = field(default_factory=dict)
    counted: int | None = None
    sharing: Callable[[Architecture, str], str] | None = None

    @cached_property
    def levels(self) -> dict[str, Levels]:
        """Values of every gene."""
        return {
            name: Levels.of(name, distribution).with_published(self.published.get(name, ()))
            for name, distribution in self.distributions.items()
        }

    @cached_property
    def size(self) -> int:
        """Number of architectures: `counted`, or the number of points before canonicalisation."""
        return self.counted or math.prod(levels.drawn for levels in self.levels.values())

    def architecture(self, genes: Mapping[str, object]) -> Architecture:
        """Return the canonical architecture with the given genes, each cast to the type of its distribution.

        Raises:
            UserError: A gene is missing, unknown, or outside its distribution.
        """
        if unknown := [name for name in genes if name not in self.levels]:
            raise UserError(f"space {self.name!r} has no gene {unknown[0]!r}. It has: {', '.join(self.levels)}.")
        if missing := [name for name in self.levels if name not in genes]:
            raise UserError(f"space {self.name!r}: gene {missing[0]!r} is missing.")
        return self.decode([levels.index(name, genes[name]) for name, levels in self.levels.items()])

    def decode(self, indices: Sequence[int] | np.ndarray) -> Architecture:
        """Return the canonical architecture at the given levels, one per gene."""
        return self.canonical(self.literal(indices))

    def literal(self, indices: Sequence[int] | np.ndarray) -> Architecture:
        """Return the architecture at the given levels without canonicalisation, for counting and for tables."""
        pairs = zip(self.levels.items(), indices, strict=True)
        return Architecture(self.name, tuple((name, levels.values[index]) for (name, levels), index in pairs))

    def encode(self, architecture: Architecture) -> list[int]:
        """Return the level of every gene, which inverts `decode` for canonical architectures."""
        return [levels.index(name, architecture[name]) for name, levels in self.levels.items()]

    def sample(self, generator: np.random.Generator) -> Architecture:
        """Draw an architecture, with every gene drawn from its distribution."""
        return self.decode(self.random_levels(generator))

    def random_levels(self, generator: np.random.Generator) -> list[int]:
        """Draw a level for every gene, uniformly or, for logarithmic distributions, log-uniformly."""
        return [
            _log_uniform(distribution, generator)
            if isinstance(distribution, IntDistribution) and distribution.log
            else int(generator.integers(self.levels[name].drawn))
            for name, distribution in self.distributions.items()
        ]

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """Yield all other architectures one mutation away, each once."""
        others = self._one_gene_away(architecture)
        if self.mutations is not None:
            others = (self.architecture(genes) for genes in self.mutations(architecture))
        seen = {architecture}
        for other in others:
            if other not in seen:
                seen.add(other)
                yield other

    def _one_gene_away(self, architecture: Architecture) -> Iterator[Architecture]:
        here = self.encode(architecture)
        for position, levels in enumerate(self.levels.values()):
            near = (here[position] - 1, here[position] + 1) if levels.ordered else range(levels.drawn)
            for index in near:
                if 0 <= index < levels.drawn:
                    yield self.decode([*here[:position], index, *here[position + 1 :]])

    def network(self, architecture: Architecture, task: Task) -> Network:
        """Build the network on the meta device, where tensors have shapes but no memory.

        Use `initialise` to allocate and initialise its weights.

        Raises:
            UserError: The architecture cannot be built for the task.
        """
        if reason := self.violation(architecture, task):
            raise UserError(f"{self.notation(architecture)}: {reason}")
        with torch.device("meta"):
            return self.build(architecture, task)

    def outline(self, architecture: Architecture, task: Task) -> Network:
        """Return a stand-in for the network whose equal blocks are built once, for costs with `Proxy.adds_up`.

        Raises:
            UserError: The architecture cannot be built for the task.
        """
        with outlines():
            return self.network(architecture, task)

    def as_ray(self) -> dict[str, Any]:
        """Return the space as a dictionary of Ray Tune domains."""
        from ray import tune

        domains: dict[str, Any] = {}
        for name, distribution in self.distributions.items():
            match distribution:
                case IntDistribution(low=low, high=high, log=True):
                    domains[name] = tune.lograndint(low, high + 1)
                case IntDistribution(low=low, high=high, step=1):
                    domains[name] = tune.randint(low, high + 1)
                # Quantised integers in Ray are multiples of the step, not low plus multiples of the step.
                case IntDistribution(low=low, high=high, step=step) if low % step == 0:
                    domains[name] = tune.qrandint(low, high, step)
                case _:
                    domains[name] = tune.choice(list(self.levels[name].values[: self.levels[name].drawn]))
        return domains


def _log_uniform(distribution: IntDistribution, generator: np.random.Generator) -> int:
    """Draw a level log-uniformly between low - 1/2 and high + 1/2, like Optuna."""
    bounds = math.log(distribution.low - 0.5), math.log(distribution.high + 0.5)
    value = round(math.exp(generator.uniform(*bounds)))
    return min(max(value, distribution.low), distribution.high) - distribution.low
