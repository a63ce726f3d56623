"""The architectures that share weights."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.supernet_config import Supernet
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.supernet.supernet import require_sharing
from zenfront.spaces import Architecture, Space, Task

MOST = 4096
"""Architectures up to which all of a space share weights if no number is given."""
TRIES = 1000
"""Draws in a row without a new architecture after which the space counts as exhausted."""


def choose_members(space: Space, task: Task, config: Supernet, seed: int) -> list[Architecture]:
    """Return the architectures that share weights: all of the space with the given genes, or some drawn at random.

    Args:
        space: The space.
        task: Architectures that cannot be built for it are left out.
        config: Number of architectures, and genes that are the same for all.
        seed: Seed of the draws.

    Raises:
        UserError: The space has no shared choices, or fewer architectures; it is too large to take all; a gene is
            unknown or has another value.
    """
    require_sharing(space)
    fixed = _fixed(space, config.genes)
    if config.children is None:
        size = 1
        for name, levels in space.levels.items():
            size *= 1 if name in fixed else levels.drawn
        if size > MOST:
            raise UserError(
                f"supernet.children: space {space.name!r} has {size:,} architectures, and at most {MOST:,} are taken "
                "without a number. Give the number of architectures to draw."
            )
        found = dict.fromkeys(a for a in _all(space, fixed) if space.violation(a, task) is None)
        return list(found)
    return _draw(space, task, fixed, config.children, seed)


def _fixed(space: Space, genes: Mapping[str, Any]) -> dict[str, int]:
    """Return the levels of the given genes."""
    if unknown := [name for name in genes if name not in space.levels]:
        raise UserError(
            f"supernet.genes: space {space.name!r} has no gene {unknown[0]!r}. It has: {', '.join(space.levels)}."
        )
    return {name: space.levels[name].index(name, value) for name, value in genes.items()}


def _all(space: Space, fixed: Mapping[str, int]) -> Iterator[Architecture]:
    choices = [[fixed[n]] if n in fixed else range(levels.drawn) for n, levels in space.levels.items()]
    return (space.decode(indices) for indices in itertools.product(*choices))


def _draw(space: Space, task: Task, fixed: Mapping[str, int], count: int, seed: int) -> list[Architecture]:
    generator = numpy_generator(seed, "supernet", "architectures")
    found: dict[Architecture, None] = {}
    tries = 0
    while len(found) < count:
        drawn = zip(space.levels, space.random_levels(generator), strict=True)
        architecture = space.decode([fixed.get(name, index) for name, index in drawn])
        tries += 1
        if architecture not in found and space.violation(architecture, task) is None:
            found[architecture], tries = None, 0
        if tries > TRIES:
            raise UserError(
                f"supernet.children: at most {len(found)} architectures of space {space.name!r} were found, but got "
                f"{count}."
            )
    return list(found)
