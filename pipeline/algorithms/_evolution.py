"""Evolution by mutation alone; a function of the whole archive selects the survivors."""

from collections.abc import Callable, Sequence

import numpy as np

from zenfront.pipeline.algorithms._algorithm import Problem
from zenfront.pipeline.algorithms._genes import mutate_levels
from zenfront.pipeline.algorithms._seen_architectures import SeenArchitectures
from zenfront.pipeline.objectives import losses, violations
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture, Space

STEPS = 10
Survivors = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


class Evolution:
    """Evolutionary algorithm without crossover.

    A child is a mutation of the best of `tournament` random members of the population. A mutation that yields a known
    architecture is mutated again. Failed architectures never join the population; `survivors` decides about
    architectures that violate a constraint.

    Args:
        problem: The search problem.
        name: Name under which the seed of the randomness is derived.
        survivors: (losses (n, m), violation (n,), size) of all architectures scored so far, oldest first -> indices of
            the population, at most `size`, best first.
        tournament: Number of members drawn with replacement for the selection of a parent.
    """

    def __init__(self, problem: Problem, name: str, survivors: Survivors, tournament: int = 1) -> None:
        self._problem = problem
        self._survivors = survivors
        self._tournament = tournament
        self._generator = numpy_generator(problem.seed, name)
        self._asked = SeenArchitectures(problem.space, self._generator, problem.start)
        self._archive: list[Architecture] = []
        self._losses = np.empty((0, len(problem.objectives)))
        self._violation = np.empty(0)
        self._population: list[Architecture] = []

    def ask(self, count: int) -> list[Architecture]:
        """Return mutations of the population.

        Uniform samples take their place as long as the population is empty and where mutation finds nothing new.
        """
        children = [child for _ in range(count) if self._population and (child := self._child())]
        return children + self._asked.sample(count - len(children))

    def _child(self) -> Architecture | None:
        """Return a new architecture at most `STEPS` mutations away from its parent, or None if none was found."""
        child = self._population[self._generator.integers(len(self._population), size=self._tournament).min()]
        for _ in range(STEPS):
            child = mutate(self._problem.space, child, self._generator)
            if self._asked.add(child):
                return child
        return None

    def tell(self, scored: Sequence[Scores]) -> None:
        """Add the scored architectures to the archive and select the population from it."""
        alive = [s for s in scored if s.failure is None]
        self._archive += [s.architecture for s in alive]
        self._losses = np.vstack([self._losses, losses(alive, self._problem.objectives)])
        self._violation = np.append(self._violation, violations(alive, self._problem.constraints))
        chosen = self._survivors(self._losses, self._violation, self._problem.population)
        self._population = [self._archive[i] for i in chosen]


def mutate(space: Space, architecture: Architecture, generator: np.random.Generator) -> Architecture:
    """Return the architecture after one mutation.

    A space that defines its own mutations provides it. Otherwise one gene changes: a number by a step, a category to
    any other.
    """
    if space.mutations is not None:
        mutations = list(space.mutations(architecture))
        return space.architecture(mutations[generator.integers(len(mutations))])
    levels = list(space.levels.values())
    upper = np.array([level.drawn - 1 for level in levels])
    chosen = np.zeros((1, len(levels)), dtype=bool)
    chosen[0, generator.choice(np.flatnonzero(upper > 0))] = True
    ordered = np.array([level.ordered for level in levels])
    genes = np.array([space.encode(architecture)])
    return space.decode(mutate_levels(genes, chosen, upper, ordered, generator)[0])


def best_first(losses: np.ndarray, violation: np.ndarray) -> np.ndarray:
    """Return the indices (n,) that sort by violation (n,), then by the single loss (n, 1); ties keep their order."""
    return np.lexsort((losses[:, 0], violation))
