"""Architectures that are drawn from the feasible part of a space."""

from collections.abc import Callable

from zenfront.pipeline import proxies
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Constraint
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture
from zenfront.spaces import load as load_space

TRIES = 10_000
"""Draws in a row without a new architecture after which the space counts as exhausted."""


def draw_architectures(
    experiment: Experiment, count: int, purpose: str = "correlate", least: int | None = None
) -> list[Architecture]:
    """Draw distinct architectures of the space that can be built and whose costs the constraints allow.

    A larger count adds architectures to those of a smaller one.

    Args:
        experiment: The experiment.
        count: Number of architectures.
        purpose: What they are for: other purposes draw others.
        least: Number that is enough if the space holds no more; None: `count`.

    Raises:
        UserError: The space does not hold as many.
    """
    space, fits = load_space(experiment.space, experiment.code), _within_limits(experiment)
    generator = numpy_generator(experiment.search.seed, purpose, "architectures")
    found: dict[Architecture, bool] = {}
    tries = 0
    while (n := sum(found.values())) < count:
        architecture, tries = space.sample(generator), tries + 1
        if tries > TRIES:
            if least is not None and n >= least:
                break
            raise UserError(
                f"{space.name}: {count} architectures that fulfil the constraints are needed, but {TRIES:,} "
                f"random ones in a row held no new one, after {n}. Ask for fewer, or widen the limits."
            )
        if architecture not in found:
            found[architecture] = fits(architecture)
            tries = 0 if found[architecture] else tries
    return [architecture for architecture, allowed in found.items() if allowed]


def _within_limits(experiment: Experiment) -> Callable[[Architecture], bool]:
    """Return a function that tells whether an architecture can be built and its costs fulfil the constraints."""
    space, task = load_space(experiment.space, experiment.code), experiment.task
    costs = [c for c in experiment.constraints if proxies.load(c.score, experiment.code).is_cost]
    costs.sort(key=lambda c: c.score != "params")  # needs no pass through the network, and refuses most
    batch = noise_batch(task, 2, 0)
    taken = [(c, Scoring(space, task, [c.score], batch, 0, code=experiment.code)) for c in costs]

    def fulfils(constraint: Constraint, scoring: Scoring, architecture: Architecture) -> bool:
        values = scoring.score(architecture).values
        return constraint.score in values and not constraint.excess(values[constraint.score])

    def fits(architecture: Architecture) -> bool:
        return space.violation(architecture, task) is None and all(fulfils(c, s, architecture) for c, s in taken)

    return fits
