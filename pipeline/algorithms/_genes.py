"""Integer-coded genes for pymoo: variation that respects their kind, and no architecture twice."""

from typing import Any

import numpy as np
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.sampling import Sampling

from zenfront.pipeline.algorithms._algorithm import Problem


class GeneProblem(PymooProblem):  # type: ignore[misc]
    """The levels of every gene as integer variables; evaluated elsewhere."""

    def __init__(self, problem: Problem) -> None:
        levels = list(problem.space.levels.values())
        upper = np.array([len(level.values) - 1 for level in levels])
        super().__init__(
            n_var=len(levels),
            n_obj=len(problem.objectives),
            n_ieq_constr=1,
            xl=np.zeros(len(levels), dtype=int),
            xu=upper,
            vtype=int,
        )
        self.ordered = np.array([level.ordered for level in levels])


class UniformSampling(Sampling):  # type: ignore[misc]
    """Every gene uniform over its levels."""

    def _do(self, problem: GeneProblem, n_samples: int, *, random_state: np.random.Generator, **_: Any) -> np.ndarray:
        return random_state.integers(problem.xl, problem.xu + 1, size=(n_samples, problem.n_var))


class GeneMutation(Mutation):  # type: ignore[misc]
    """Changes each gene with probability 1 / n; a child that is left as a parent was is bred again."""

    def _do(self, problem: GeneProblem, X: np.ndarray, *, random_state: np.random.Generator, **_: Any) -> np.ndarray:
        chosen = random_state.random(X.shape) < 1 / np.count_nonzero(problem.xu)
        return mutated(X, chosen, problem.xu, problem.ordered, random_state)


def mutated(
    levels: np.ndarray, chosen: np.ndarray, upper: np.ndarray, ordered: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """New levels (n, genes) where `chosen` (n, genes) says so: numbers by a step, categories to any other.

    Steps are +-s with P(s) = 2^-s, reflected at the bounds: mostly the next level, now and then far.

    Args:
        levels: (n, genes), 0 .. upper.
        chosen: (n, genes), bool.
        upper: (genes,), the highest levels.
        ordered: (genes,), whether neighbouring levels are alike.
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


class NeverTwice(DuplicateElimination):  # type: ignore[misc]
    """Replaces genes by their canonical form and drops architectures that were asked before."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.space = problem.space
        self.asked: set[bytes] = set()

    def do(self, pop: Population, *others: Population, **_: Any) -> Population:
        """The individuals of `pop` that are new, each once."""
        taken = {_key(x) for other in others for x in other.get("X")}
        kept = []
        for individual in pop:
            architecture = self.space.decode(individual.X.astype(int))
            individual.X = np.array(self.space.encode(architecture))
            individual.data["architecture"] = architecture
            key = _key(individual.X)
            if key not in self.asked and key not in taken:
                taken.add(key)
                kept.append(individual)
        return Population.create(*kept)

    def remember(self, pop: Population) -> None:
        """Marks these as asked."""
        self.asked.update(_key(x) for x in pop.get("X"))


def _key(x: np.ndarray) -> bytes:
    return np.asarray(x, dtype=np.int64).tobytes()
