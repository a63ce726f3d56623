"""Search algorithms: they ask and are told. A module without underscore is one; it exports ``ALGORITHM``."""

from pipeline.algorithms._algorithm import Algorithm, Method, Problem
from pipeline.algorithms._given import Given
from pipeline.registry import Registry

ALGORITHMS = Registry("pipeline.algorithms", "ALGORITHM", "search algorithm")


def names() -> list[str]:
    """The names of all search algorithms."""
    return ALGORITHMS.names()


def load(name: str) -> Method:
    """The algorithm of that name; `UserError` lists the known ones."""
    method: Method = ALGORITHMS.load(name)
    return method


__all__ = ["ALGORITHMS", "Algorithm", "Given", "Method", "Problem", "load", "names"]
