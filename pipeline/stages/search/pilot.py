"""Choice of the architectures on which the reliability of the scores is measured before a search."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice

import numpy as np

from zenfront.pipeline import proxies
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.pilot import COST, SIZE
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.spaces import Architecture
from zenfront.spaces import load as load_space

POOL = 64
"""Number of candidates of the first generation whose cost is counted."""
DRAWN = 256
"""Number of architectures that are drawn beside them where too few are feasible."""


def choose_pilot(
    experiment: Experiment, first: Sequence[Architecture], more: Iterable[Architecture] = ()
) -> list[Architecture]:
    """Return at most 12 feasible architectures whose FLOPs are most alike.

    Args:
        experiment: The experiment.
        first: The first generation, or the architectures that are given; the first 64 are regarded.
        more: Architectures of which the first feasible ones join those, if they are fewer than 12.
    """
    task = experiment.task
    names = [COST, *(c.score for c in experiment.constraints)]
    scoring = Scoring(
        load_space(experiment.space, experiment.code),
        task,
        [name for name in dict.fromkeys(names) if _is_cost(name, experiment)],
        noise_batch(task, 2, 0),
        experiment.search.seed,
        keep_partial=True,
        code=experiment.code,
    )
    priced: dict[Architecture, float] = {}
    for number, architecture in enumerate(chain(first[:POOL], islice(more, DRAWN))):
        if number >= len(first[:POOL]) and len(priced) >= SIZE:
            break
        costs = scoring.score(architecture).values
        if costs and not any(c.excess(costs[c.score]) for c in experiment.constraints if c.score in costs):
            priced[architecture] = costs.get(COST, 1.0)
    return _most_alike(priced)


def _is_cost(name: str, experiment: Experiment) -> bool:
    return proxies.load(name, experiment.code).is_cost


def _most_alike(priced: Mapping[Architecture, float]) -> list[Architecture]:
    """Return the 12 architectures whose highest cost exceeds the lowest by the smallest factor, cheapest first."""
    ordered = sorted(priced, key=lambda architecture: priced[architecture])
    if len(ordered) <= SIZE:
        return ordered
    cost = np.log([max(priced[architecture], 1.0) for architecture in ordered])
    first = int(np.argmin(cost[SIZE - 1 :] - cost[: 1 - SIZE]))
    return ordered[first : first + SIZE]
