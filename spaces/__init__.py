"""Search spaces. A module without underscore is one; it exports ``SPACE``."""

from pipeline.registry import Registry
from spaces._architecture import Architecture, Gene
from spaces._blocks import Residual
from spaces._levels import Levels
from spaces._network import Auxiliary, Init, Network, initialise, without_auxiliaries
from spaces._space import Space
from spaces._task import Task

SPACES = Registry("spaces", "SPACE", "search space")


def names() -> list[str]:
    """The names of all search spaces."""
    return SPACES.names()


def load(name: str) -> Space:
    """The search space of that name; `UserError` lists the known ones."""
    space: Space = SPACES.load(name)
    return space


__all__ = [
    "SPACES",
    "Architecture",
    "Auxiliary",
    "Gene",
    "Init",
    "Levels",
    "Network",
    "Residual",
    "Space",
    "Task",
    "initialise",
    "load",
    "names",
    "without_auxiliaries",
]
