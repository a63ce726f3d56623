"""pymoo operators on integer-coded genes, and the elimination of duplicate architectures."""

from typing import Any

import numpy as np
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.sampling import Sampling

from zenfront.pipeline.algorithms._algorithm import Problem


class GeneProblem(PymooProblem):  # type: ignore[misc]
    """pymoo problem whose integer variables are the levels of the genes; it is never evaluated through pymoo."""

    def __init__(self, problem: Problem) -> None:
        levels = list(problem.space.levels.values())
        upper = np.array([level.drawn - 1 for level in levels])
        super().__init__(
            n_var=len(levels),
            n_obj=len(problem.objectives),
            n_ieq_constr=1,
            xl=np.zeros(len(levels), dtype=int),
            xu=upper,
            vtype=int,
        )
        self.ordered = np.array([level.ordered for level in levels])


ORDERED_RATE, UNORDERED_RATE = 0.9, 0.5
"""Share of the couples that exchange genes: more than half breaks up good cells, whose genes are unordered."""
ETA = 3.0
"""Distribution index of the polynomial mutation; the larger, the shorter the steps."""


class UniformSampling(Sampling):  # type: ignore[misc]
    """Sample every gene uniformly over its levels."""

    def _do(self, problem: GeneProblem, n_samples: int, *, random_state: np.random.Generator, **_: Any) -> np.ndarray:
        return random_state.integers(problem.xl, problem.xu + 1, size=(n_samples, problem.n_var))


class GeneCrossover(Crossover):  # type: ignore[misc]
    """Exchange half of the ordered genes of 90 % of the couples, and half of the unordered ones of 50 %."""

    def __init__(self) -> None:
        super().__init__(2, 2, prob=1.0)

    def _do(self, problem: GeneProblem, X: np.ndarray, *, random_state: np.random.Generator, **_: Any) -> np.ndarray:
        rate = np.where(problem.ordered, ORDERED_RATE, UNORDERED_RATE)
        crossed = random_state.random((X.shape[1], 1)) < rate
        return np.where(crossed & (random_state.random(X.shape[1:]) < 0.5), X[::-1], X)


class GeneMutation(Mutation):  # type: ignore[misc]
    """Change each gene with probability 1 / n: ordered ones by `polynomial_steps`, others to any other level.

    pymoo breeds again if a child is left unchanged: `EliminateSeen` drops it as a duplicate.
    """

    def _do(self, problem: GeneProblem, X: np.ndarray, *, random_state: np.random.Generator, **_: Any) -> np.ndarray:
        chosen = random_state.random(X.shape) < 1 / np.count_nonzero(problem.xu)
        step = polynomial_steps(X, problem.xu, random_state)
        moved = np.clip(X + step, 0, problem.xu)
        other = (X + random_state.integers(1, np.maximum(problem.xu, 1) + 1, X.shape)) % (problem.xu + 1)
        return np.where(chosen, np.where(problem.ordered, moved, other), X)


def polynomial_steps(levels: np.ndarray, upper: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return steps (n, genes) of Deb's polynomial mutation with index 3, rounded away from 0 to at least one level.

    Args:
        levels: Levels (n, genes), each in 0 .. upper.
        upper: Highest levels (genes,).
        generator: Source of all randomness.

    Source: Deb and Agrawal, KanGAL report 99003, 1999, in the form that regards the distances to the bounds.
    """
    span = np.maximum(upper, 1)
    place, drawn = levels / span, generator.random(levels.shape)
    down = (2 * drawn + (1 - 2 * drawn) * (1 - place) ** (ETA + 1)) ** (1 / (ETA + 1)) - 1
    up = 1 - (2 * (1 - drawn) + (2 * drawn - 1) * place ** (ETA + 1)) ** (1 / (ETA + 1))
    exact = np.where(drawn <= 0.5, down, up) * span
    return np.asarray(np.sign(exact) * np.maximum(np.round(np.abs(exact)), 1), dtype=int)


class GeometricMutation(Mutation):  # type: ignore[misc]
    """Change each gene with probability 1 / n as `mutate_levels` does: by some levels, whatever the range.

    pymoo breeds again if a child is left unchanged: `EliminateSeen` drops it as a duplicate.
    """

    def _do(self, problem: GeneProblem, X: np.ndarray, *, random_state: np.random.Generator, **_: Any) -> np.ndarray:
        chosen = random_state.random(X.shape) < 1 / np.count_nonzero(problem.xu)
        return mutate_levels(X, chosen, problem.xu, problem.ordered, random_state)


def mutate_levels(
    levels: np.ndarray, chosen: np.ndarray, upper: np.ndarray, ordered: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Return levels (n, genes) in which the chosen genes have mutated.

    Ordered genes move by +-s with P(s) = 2^-s, reflected at the bounds: half of the steps lead to a neighbouring level,
    the others further. Unordered genes change to any other level with equal probability.

    Args:
        levels: Levels (n, genes), each in 0 .. upper.
        chosen: Mask (n, genes), bool, of the genes to mutate.
        upper: Highest levels (genes,).
        ordered: Mask (genes,), bool, of the genes whose neighbouring levels are alike.
        generator: Source of all randomness.
    """
    step = generator.geometric(0.5, levels.shape) * generator.choice([-1, 1], levels.shape)
    moved = _reflect(levels + step, upper)
    other = (levels + generator.integers(1, np.maximum(upper, 1) + 1, levels.shape)) % (upper + 1)
    return np.where(chosen, np.where(ordered, moved, other), levels)


def _reflect(levels: np.ndarray, upper: np.ndarray) -> np.ndarray:
    period = np.maximum(2 * upper, 1)
    folded = levels % period
    return np.where(upper > 0, np.minimum(folded, period - folded), 0)


class EliminateSeen(DuplicateElimination):  # type: ignore[misc]
    """Replace genes by their canonical form and drop architectures that `ask` returned before."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.space = problem.space
        self.seen: set[bytes] = set()

    def do(self, pop: Population, *others: Population, **_: Any) -> Population:
        """Return the individuals of `pop` that are neither seen nor in `others`, without duplicates."""
        taken = {_key(x) for other in others for x in other.get("X")}
        kept = []
        for individual in pop:
            architecture = self.space.decode(individual.X.astype(int))
            individual.X = np.array(self.space.encode(architecture))
            individual.data["architecture"] = architecture
            key = _key(individual.X)
            if key not in self.seen and key not in taken:
                taken.add(key)
                kept.append(individual)
        return Population.create(*kept)

    def remember(self, pop: Population) -> None:
        """Mark the individuals of `pop` as seen."""
        self.seen.update(_key(x) for x in pop.get("X"))


def _key(x: np.ndarray) -> bytes:
    return np.asarray(x, dtype=np.int64).tobytes()
