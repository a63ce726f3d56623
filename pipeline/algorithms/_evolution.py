"""Evolution by mutation alone: who survives is a function of all that was told."""

from collections.abc import Callable, Sequence

import numpy as np

from zenfront.pipeline.algorithms._algorithm import Problem
from zenfront.pipeline.algorithms._genes import mutated
from zenfront.pipeline.algorithms._seen_architectures import SeenArchitectures
from zenfront.pipeline.objectives import losses, violations
from zenfront.pipeline.results import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture, Space

STEPS = 10
Survivors = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


class Evolution:
    """A child is a mutant of the best of a few random members of the population; a known mutant is mutated again.

    Failures are no members; those that violate a constraint are as far as `survivors` lets them.

    Args:
        problem: What is searched.
        name: Names the randomness.
        survivors: (losses (n, m), violation (n,), size) of all that was told without failure, oldest first ->
            indices of the population, at most `size`, best first.
        tournament: How many random members, with replacement, a parent is the best of.
    """

    def __init__(self, problem: Problem, name: str, survivors: Survivors, tournament: int = 1) -> None:
        self._problem = problem
        self._survivors = survivors
        self._tournament = tournament
        self._generator = numpy_generator(problem.seed, name)
        self._asked = SeenArchitectures(problem.space, self._generator)
        self._archive: list[Architecture] = []
        self._losses = np.empty((0, len(problem.objectives)))
        self._violation = np.empty(0)
        self._population: list[Architecture] = []

    def ask(self, count: int) -> list[Architecture]:
        """Mutants of the population; uniform samples while there is none, and where mutation finds nothing new."""
        children = [child for _ in range(count) if self._population and (child := self._child())]
        return children + self._asked.sample(count - len(children))

    def _child(self) -> Architecture | None:
        """A new mutant, at most `STEPS` mutations from its parent."""
        child = self._population[self._generator.integers(len(self._population), size=self._tournament).min()]
        for _ in range(STEPS):
            child = mutant(self._problem.space, child, self._generator)
            if self._asked.add(child):
                return child
        return None

    def tell(self, scored: Sequence[Scores]) -> None:
        """Adds what did not fail to the archive, and takes the population from it."""
        alive = [s for s in scored if s.failure is None]
        self._archive += [s.architecture for s in alive]
        self._losses = np.vstack([self._losses, losses(alive, self._problem.objectives)])
        self._violation = np.append(self._violation, violations(alive, self._problem.constraints))
        chosen = self._survivors(self._losses, self._violation, self._problem.population)
        self._population = [self._archive[i] for i in chosen]


def mutant(space: Space, architecture: Architecture, generator: np.random.Generator) -> Architecture:
    """One mutation of the space, if it has its own; else of one gene: a number by a step, a category to any other."""
    if space.mutations is not None:
        mutations = list(space.mutations(architecture))
        return space.architecture(mutations[generator.integers(len(mutations))])
    levels = list(space.levels.values())
    upper = np.array([len(level.values) - 1 for level in levels])
    chosen = np.zeros((1, len(levels)), dtype=bool)
    chosen[0, generator.choice(np.flatnonzero(upper > 0))] = True
    ordered = np.array([level.ordered for level in levels])
    genes = np.array([space.encode(architecture)])
    return space.decode(mutated(genes, chosen, upper, ordered, generator)[0])


def best_first(losses: np.ndarray, violation: np.ndarray) -> np.ndarray:
    """Indices (n,) of the rows by violation (n,), then by the only loss (n, 1); ties in their order."""
    return np.lexsort((losses[:, 0], violation))
