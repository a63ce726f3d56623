"""AZ-NAS: evolution on the sum of the logarithms of the ranks of several scores.

s_i = sum over scores k of log(r_ik / n). Among the n feasible architectures scored so far, r_ik is the number whose
score k is no better than that of architecture i. The best architecture has log(n / n) = 0; one bad rank costs more than
good ranks in the other scores make up for. The ranks are computed over the whole archive, anew in every generation.

The evolution is that of `zennas`. Since the search aims at a single point, its front consists of what it met on the
way.

Source: Lee and Ham, AZ-NAS, CVPR 2024, arXiv:2403.19232, and its `evolution_search_az.py`: ties share their mean rank.
Deviations: those of `zennas`.
"""

import numpy as np

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._evolution import Evolution, best_first
from zenfront.pipeline.ranking import log_rank_sum


def survivors(losses: np.ndarray, violation: np.ndarray, size: int) -> np.ndarray:
    """Return the feasible architectures with the highest sums, then those with the smallest violations."""
    feasible = violation <= 0
    loss = np.zeros((len(losses), 1))
    loss[feasible, 0] = -log_rank_sum(losses[feasible])
    return best_first(loss, violation)[:size]


def _make(problem: Problem) -> Algorithm:
    return Evolution(problem, "rank_sum", survivors)


ALGORITHM = AlgorithmSpec(_make, "Lee and Ham, AZ-NAS, CVPR 2024, arXiv:2403.19232; evolution as in zennas")
