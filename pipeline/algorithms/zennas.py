"""The evolutionary algorithm of ZenNAS: one score under a budget.

A parent is drawn uniformly from the population and mutated once. The child joins the population if it is within the
budget, and the member with the lowest score is dropped. The budget is given by the experiment's constraints.

Deviations: a generation of children is reported at once, so that the result does not depend on workers; the first
generation is sampled uniformly (the paper starts near the budget, its code from one tiny network); no architecture is
scored twice; architectures over the budget fill the places that feasible ones leave free, smallest excess first, so
that the search can find a tight budget; the mutation is that of the space.

Source: Lin et al., ICCV 2021, arXiv:2102.01063, algorithm 2.
"""

import numpy as np

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._evolution import Evolution, best_first


def survivors(losses: np.ndarray, violation: np.ndarray, size: int) -> np.ndarray:
    """Return the best of the whole archive: a member that was dropped once had the lowest score and still has."""
    return best_first(losses, violation)[:size]


def _make(problem: Problem) -> Algorithm:
    return Evolution(problem, "zennas", survivors)


ALGORITHM = AlgorithmSpec(_make, "Lin et al., ICCV 2021, arXiv:2102.01063, algorithm 2", most=1)
