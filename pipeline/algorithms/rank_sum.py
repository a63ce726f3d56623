"""Many scores made one: the sum of the logarithms of their ranks, as in AZ-NAS; then evolution on that sum.

s_i = sum over scores k of log(r_ik / n): of the n feasible architectures told so far, r_ik have score k no better than
architecture i has; the best has log(n / n) = 0, and one bad rank costs more than good ranks of the others repay. The
ranks are taken over the whole archive and anew in every generation.

The evolution is that of `zennas`. The front of such a search is what it found on its way to one point.

Source: Lee and Ham, AZ-NAS, CVPR 2024, arXiv:2403.19232, and its `evolution_search_az.py`: equal values share their
mean rank. Deviations: those of `zennas`.
"""

import numpy as np
from scipy.stats import rankdata

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._evolution import Evolution, best_first


def log_rank_sum(losses: np.ndarray) -> np.ndarray:
    """The sums (n,) <= 0 of the rows of losses (n, m): higher is better, 0 is best in everything."""
    ranks = rankdata(-losses, axis=0)
    return np.asarray(np.log(ranks / len(losses)).sum(1))


def survivors(losses: np.ndarray, violation: np.ndarray, size: int) -> np.ndarray:
    """The highest sums of the feasible, then the least violations."""
    feasible = violation <= 0
    loss = np.zeros((len(losses), 1))
    loss[feasible, 0] = -log_rank_sum(losses[feasible])
    return best_first(loss, violation)[:size]


def _make(problem: Problem) -> Algorithm:
    return Evolution(problem, "rank_sum", survivors)


ALGORITHM = AlgorithmSpec(_make, "Lee and Ham, AZ-NAS, CVPR 2024, arXiv:2403.19232; evolution as in zennas")
