"""Search algorithms with an ask-and-tell interface. A module without underscore is one; it exports ``ALGORITHM``."""

from zenfront.pipeline.algorithms._algorithm import Algorithm, AlgorithmSpec, Problem
from zenfront.pipeline.algorithms._feasible_sample import FeasibleSample
from zenfront.pipeline.algorithms._fixed_list import FixedList
from zenfront.pipeline.registry import Registry

ALGORITHMS = Registry("zenfront.pipeline.algorithms", "ALGORITHM", "search algorithm", AlgorithmSpec)


def names() -> list[str]:
    """Return the names of all search algorithms."""
    return ALGORITHMS.names()


def load(name: str) -> AlgorithmSpec:
    """Return the algorithm of that name.

    Raises:
        UserError: There is no such algorithm; the message lists the known ones.
    """
    spec: AlgorithmSpec = ALGORITHMS.load(name)
    return spec


__all__ = ["ALGORITHMS", "Algorithm", "AlgorithmSpec", "FeasibleSample", "FixedList", "Problem", "load", "names"]
