"""NSGA-III: selection by rank, then by distance to reference directions; for three or more objectives.

pymoo's implementation on integer-coded genes, with the operators of `nsga2`. The reference directions are those of Das
and Dennis with the largest number of partitions that yields no more directions than the population has members: a
population of 64 has 64 directions for two objectives, 55 for three and 56 for four. Deviations: no architecture is
proposed twice; parents of equal violation are drawn from the algorithm's own generator. pymoo 0.6.1.6 draws those from
the operating system's entropy, so that the same seed gives another result.

Source: Deb and Jain, IEEE TEC 18(4), 2014; Das and Dennis, SIAM J. Optim. 8(3), 1998.
"""

from math import comb

import numpy as np
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.core.population import Population
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.util.ref_dirs import get_reference_directions

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._genetic import Genetic


def reference_directions(objectives: int, population: int) -> np.ndarray:
    """Return Das and Dennis' points (h, objectives) on the unit simplex, h = C(p + m - 1, m - 1) <= population.

    A population smaller than the number of objectives gets the first `population` corners of the simplex.
    """
    partitions = 1
    while comb(partitions + objectives, objectives - 1) <= population:
        partitions += 1
    directions: np.ndarray = get_reference_directions("das-dennis", objectives, n_partitions=partitions)
    return directions[:population]


def _by_violation(
    population: Population, pairs: np.ndarray, random_state: np.random.Generator, **_: object
) -> np.ndarray:
    """Return the index of the winner of each pair (n, 2), (n, 1): the smaller violation wins, equal ones draw lots."""
    violation = population.get("CV")[:, 0]
    winners = [
        random_state.choice([a, b]) if violation[a] == violation[b] else min(a, b, key=lambda i: violation[i])
        for a, b in pairs
    ]
    return np.array(winners, dtype=int)[:, None]


def _make(problem: Problem) -> Algorithm:
    directions = reference_directions(len(problem.objectives), problem.population)
    selection = TournamentSelection(func_comp=_by_violation)
    return Genetic(problem, "nsga3", NSGA3, ref_dirs=directions, selection=selection)


ALGORITHM = AlgorithmSpec(_make, "Deb and Jain, IEEE TEC 18(4), 2014; by pymoo", least=2)
