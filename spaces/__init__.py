"""Search spaces. A module without underscore is one; it exports ``SPACE``."""

from collections.abc import Sequence

from zenfront.pipeline.registry import Registry
from zenfront.pipeline.user_code import UserCode
from zenfront.spaces._architecture import Architecture, Gene
from zenfront.spaces._blocks import Residual
from zenfront.spaces._initialise import NORMS, Init, draw_weights, initialise
from zenfront.spaces._levels import Levels
from zenfront.spaces._network import Auxiliary, Network, without_auxiliaries
from zenfront.spaces._outline import Block, run_block
from zenfront.spaces._published import PUBLISHED
from zenfront.spaces._space import Space
from zenfront.spaces._task import Task

SPACES = Registry("zenfront.spaces", "SPACE", "search space", Space)


def names(code: Sequence[UserCode] = ()) -> list[str]:
    """Return the names of all search spaces, with those of an experiment's own code."""
    return SPACES.names(code)


def load(name: str, code: Sequence[UserCode] = ()) -> Space:
    """Return the search space of that name; `code` is the experiment's own.

    Raises:
        UserError: There is no such space, or its code cannot be loaded.
    """
    space: Space = SPACES.load(name, code)
    return space


__all__ = [
    "NORMS",
    "PUBLISHED",
    "SPACES",
    "Architecture",
    "Auxiliary",
    "Block",
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
    "run_block",
    "without_auxiliaries",
]
