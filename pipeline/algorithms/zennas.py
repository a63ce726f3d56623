"""The evolutionary algorithm of ZenNAS: one score, under a budget.

A parent is drawn uniformly from the population, one mutation makes a child, the child joins if it keeps to the budget,
and the lowest is dropped. The budget is the experiment's constraints.

Deviations: a generation of children is told at once, so that the result does not depend on workers; the first
generation is sampled uniformly (the paper starts near the budget, its code from one tiny network); nothing is scored
twice; what exceeds the budget joins only while there are fewer within it than the population has room for, the
slightest excess first, so that a tight budget is found at all; the mutation is the space's.

Source: Lin et al., ICCV 2021, arXiv:2102.01063, algorithm 2.
"""

import numpy as np

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._evolution import Evolution, best_first


def survivors(losses: np.ndarray, violation: np.ndarray, size: int) -> np.ndarray:
    """The best of all: whoever was dropped was the lowest, and would be again."""
    return best_first(losses, violation)[:size]


def _make(problem: Problem) -> Algorithm:
    return Evolution(problem, "zennas", survivors)


ALGORITHM = AlgorithmSpec(_make, "Lin et al., ICCV 2021, arXiv:2102.01063, algorithm 2", most=1)
