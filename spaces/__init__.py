"""Search spaces. A module without underscore is one; it exports ``SPACE``."""

from zenfront.pipeline.registry import Registry
from zenfront.spaces._architecture import Architecture, Gene
from zenfront.spaces._blocks import Residual
from zenfront.spaces._levels import Levels
from zenfront.spaces._network import (
    NORMS,
    Auxiliary,
    Init,
    Network,
    draw_weights,
    initialise,
    without_auxiliaries,
)
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

SPACES = Registry("zenfront.spaces", "SPACE", "search space")


def names() -> list[str]:
    """The names of all search spaces."""
    return SPACES.names()


def load(name: str) -> Space:
    """The search space of that name; `UserError` lists the known ones."""
    space: Space = SPACES.load(name)
    return space


__all__ = [
    "NORMS",
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
    "draw_weights",
    "initialise",
    "load",
    "names",
    "without_auxiliaries",
]
