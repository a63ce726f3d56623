"""What can be built: a search space as flat, static Optuna distributions."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from optuna.distributions import BaseDistribution, IntDistribution

from zenfront.pipeline.errors import UserError
from zenfront.spaces._architecture import Architecture
from zenfront.spaces._levels import Levels
from zenfront.spaces._network import Network
from zenfront.spaces._task import Task


def _itself(architecture: Architecture) -> Architecture:
    return architecture


def _no_violation(architecture: Architecture, task: Task) -> str | None:
    return None


def _gene_list(architecture: Architecture) -> str:
    return ",".join(f"{name}={value}" for name, value in architecture.genes)


def _parse_gene_list(text: str) -> dict[str, object]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(equals for _, equals, _ in pairs):
        raise UserError(f"an architecture is written as gene=value,gene=value, but got {text!r}.")
    return {name.strip(): value.strip() for name, _, value in pairs}


@dataclass(frozen=True)
class Space:
    """A search space: finite, flat and static; inactive genes are canonicalised away.

    Attributes:
        name: As in the registry.
        distributions: One discrete Optuna distribution a gene, in a fixed order.
        build: (architecture, task) -> Network. Called under the meta device; draws no numbers.
        source: Paper and its arXiv number, on one line; the module's docstring says more.
        canonical: The representative of all architectures that build the same network.
        violation: Why the architecture cannot be built for the task, or None.
        notation: The field's way of writing an architecture.
        mutations: The genes of all architectures one mutation away, repeats allowed, where the field has its own
            mutation; else an adjacent level or any other category of one gene.
        parse: The inverse of `notation`: text -> genes by name; `UserError` if it is not in the notation.
        counted: Number of architectures in the literature, where it is not the product of the levels: some
            points are violations, or the literature counts up to isomorphism.
    """

    name: str
    distributions: Mapping[str, BaseDistribution]
    build: Callable[[Architecture, Task], Network]
    source: str
    canonical: Callable[[Architecture], Architecture] = _itself
    violation: Callable[[Architecture, Task], str | None] = _no_violation
    notation: Callable[[Architecture], str] = _gene_list
    parse: Callable[[str], Mapping[str, object]] = _parse_gene_list
    mutations: Callable[[Architecture], Iterable[Mapping[str, object]]] | None = None
    counted: int | None = None

    @cached_property
    def levels(self) -> dict[str, Levels]:
        """The values of every gene."""
        return {name: Levels.of(name, distribution) for name, distribution in self.distributions.items()}

    @cached_property
    def size(self) -> int:
        """Number of architectures: `counted`, or the number of points before canonicalisation."""
        return self.counted or math.prod(len(levels.values) for levels in self.levels.values())

    def architecture(self, genes: Mapping[str, object]) -> Architecture:
        """The canonical architecture with these genes, each cast to its distribution's type.

        Raises:
            UserError: A gene is missing, unknown, or outside its distribution.
        """
        if unknown := [name for name in genes if name not in self.levels]:
            raise UserError(f"space {self.name!r} has no gene {unknown[0]!r}. It has: {', '.join(self.levels)}.")
        if missing := [name for name in self.levels if name not in genes]:
            raise UserError(f"space {self.name!r}: gene {missing[0]!r} is missing.")
        return self.decode([levels.index(name, genes[name]) for name, levels in self.levels.items()])

    def decode(self, indices: Sequence[int] | np.ndarray) -> Architecture:
        """The canonical architecture at these levels, one a gene."""
        return self.canonical(self.literal(indices))

    def literal(self, indices: Sequence[int] | np.ndarray) -> Architecture:
        """The architecture at these levels as it stands, not in canonical form: for counting and tables."""
        pairs = zip(self.levels.items(), indices, strict=True)
        return Architecture(self.name, tuple((name, levels.values[index]) for (name, levels), index in pairs))

    def encode(self, architecture: Architecture) -> list[int]:
        """The level of every gene: the inverse of `decode` on canonical architectures."""
        return [levels.index(name, architecture[name]) for name, levels in self.levels.items()]

    def sample(self, generator: np.random.Generator) -> Architecture:
        """One architecture, every gene drawn from its distribution."""
        return self.decode(self.random_levels(generator))

    def random_levels(self, generator: np.random.Generator) -> list[int]:
        """One level a gene: uniform, or log-uniform where the distribution says so."""
        return [
            _log_uniform(distribution, generator)
            if isinstance(distribution, IntDistribution) and distribution.log
            else int(generator.integers(len(self.levels[name].values)))
            for name, distribution in self.distributions.items()
        ]

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """All other architectures one mutation away, each once."""
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
            near = (here[position] - 1, here[position] + 1) if levels.ordered else range(len(levels.values))
            for index in near:
                if 0 <= index < len(levels.values):
                    yield self.decode([*here[:position], index, *here[position + 1 :]])

    def network(self, architecture: Architecture, task: Task) -> Network:
        """The network on the meta device: shapes without memory. `initialise` gives it weights.

        Raises:
            UserError: The architecture cannot be built for the task.
        """
        if reason := self.violation(architecture, task):
            raise UserError(f"{self.notation(architecture)}: {reason}")
        with torch.device("meta"):
            return self.build(architecture, task)

    def as_ray(self) -> dict[str, Any]:
        """The same space for Ray Tune: a dictionary of its domains."""
        from ray import tune

        domains: dict[str, Any] = {}
        for name, distribution in self.distributions.items():
            match distribution:
                case IntDistribution(low=low, high=high, log=True):
                    domains[name] = tune.lograndint(low, high + 1)
                case IntDistribution(low=low, high=high, step=1):
                    domains[name] = tune.randint(low, high + 1)
                # Ray's quantised integers are multiples of the step, not low plus multiples of it.
                case IntDistribution(low=low, high=high, step=step) if low % step == 0:
                    domains[name] = tune.qrandint(low, high, step)
                case _:
                    domains[name] = tune.choice(list(self.levels[name].values))
        return domains


def _log_uniform(distribution: IntDistribution, generator: np.random.Generator) -> int:
    """A level between the logarithms of low - 1/2 and high + 1/2, as Optuna draws it."""
    bounds = math.log(distribution.low - 0.5), math.log(distribution.high + 0.5)
    value = round(math.exp(generator.uniform(*bounds)))
    return min(max(value, distribution.low), distribution.high) - distribution.low
