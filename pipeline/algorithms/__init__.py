"""Search algorithms: they ask and are told. A module without underscore is one; it exports ``ALGORITHM``."""

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._fixed_list import FixedList
from zenfront.pipeline.registry import Registry

ALGORITHMS = Registry("zenfront.pipeline.algorithms", "ALGORITHM", "search algorithm")


def names() -> list[str]:
    """The names of all search algorithms."""
    return ALGORITHMS.names()


def load(name: str) -> AlgorithmSpec:
    """The algorithm of that name; `UserError` lists the known ones."""
    method: AlgorithmSpec = ALGORITHMS.load(name)
    return method


__all__ = ["ALGORITHMS", "Algorithm", "AlgorithmSpec", "FixedList", "Problem", "load", "names"]
