"""NSGA-II: selection by rank, then by crowding distance.

pymoo's implementation on integer-coded genes: constraint domination and binary tournaments. Uniform crossover exchanges
ordered genes (numbers) of 90 % of the couples and unordered ones (categories) of 50 %. Each gene mutates with
probability 1 / n: an ordered one by a step of the polynomial mutation with index 3, at least one level, an unordered
one to any other level (decision 50). Deviation: no architecture is proposed twice.

Source: Deb et al., IEEE TEC 6(2), 2002.
"""

from pymoo.algorithms.moo.nsga2 import NSGA2

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._genetic import Genetic


def _make(problem: Problem) -> Algorithm:
    return Genetic(problem, "nsga2", NSGA2)


ALGORITHM = AlgorithmSpec(_make, "Deb et al., IEEE TEC 6(2), 2002; by pymoo")
