"""Regularised evolution (ageing evolution): the oldest members are removed, not the worst.

The population is a queue of the last P = `population` architectures. A parent is the best of S = P / 4 members drawn
with replacement (the paper's P = 100, S = 25); a child is one mutation of it.

Deviations: a generation of P children is reported at once, so that the result does not depend on workers (the paper's
450 workers had more children in flight than its population has members); no architecture is scored twice; failed
architectures do not join the population; the tournament respects constraints: an architecture that violates one loses
to one that does not, and to one with a smaller violation.

Source: Real et al., AAAI 2019, arXiv:1802.01548, algorithm 1.
"""

import numpy as np

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._evolution import Evolution, best_first


def survivors(losses: np.ndarray, violation: np.ndarray, size: int) -> np.ndarray:
    """Return the `size` youngest architectures, the best of them first."""
    oldest = max(0, len(losses) - size)
    return oldest + best_first(losses[oldest:], violation[oldest:])


def _make(problem: Problem) -> Algorithm:
    tournament = max(2, problem.population // 4)
    return Evolution(problem, "regularized_evolution", survivors, tournament)


ALGORITHM = AlgorithmSpec(_make, "Real et al., AAAI 2019, arXiv:1802.01548, algorithm 1", most=1)
