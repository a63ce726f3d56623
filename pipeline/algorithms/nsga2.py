"""NSGA-II: selection by rank, then by crowding distance.

pymoo's implementation on integer-coded genes: constraint domination, binary tournaments, uniform crossover of half of
the couples, and one mutation per child on average. Deviation: no architecture is proposed twice.

Source: Deb et al., IEEE TEC 6(2), 2002.
"""

from pymoo.algorithms.moo.nsga2 import NSGA2

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._genetic import Genetic


def _make(problem: Problem) -> Algorithm:
    return Genetic(problem, "nsga2", NSGA2)


ALGORITHM = AlgorithmSpec(_make, "Deb et al., IEEE TEC 6(2), 2002; by pymoo")
