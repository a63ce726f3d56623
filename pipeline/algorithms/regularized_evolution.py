"""Regularised evolution: the oldest die, however good they are.

The population is a queue of the last P = `population` architectures; a parent is the best of S = P / 4 drawn from it
with replacement (the paper's P = 100, S = 25), a child one mutation of it.

Deviations: a generation of P children is told at once, so that the result does not depend on workers (the paper's
450 workers had more children in flight than its population has members); nothing is scored twice; failures do not
join; a constraint is respected by the tournament: who violates it loses to who does not, and to the lesser violation.

Source: Real et al., AAAI 2019, arXiv:1802.01548, algorithm 1.
"""

import numpy as np

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._evolution import Evolution, best_first


def survivors(losses: np.ndarray, violation: np.ndarray, size: int) -> np.ndarray:
    """The youngest, the best of them first."""
    oldest = max(0, len(losses) - size)
    return oldest + best_first(losses[oldest:], violation[oldest:])


def _make(problem: Problem) -> Algorithm:
    tournament = max(2, problem.population // 4)
    return Evolution(problem, "regularized_evolution", survivors, tournament)


ALGORITHM = AlgorithmSpec(_make, "Real et al., AAAI 2019, arXiv:1802.01548, algorithm 1", most=1)
