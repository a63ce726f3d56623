"""Choice of the architectures on which the reliability of the scores is measured before a search."""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from zenfront.pipeline import proxies
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.pilot import COST, SIZE
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.spaces import Architecture
from zenfront.spaces import load as load_space

POOL = 64
"""Number of candidates whose cost is counted."""


def choose_pilot(experiment: Experiment, candidates: Iterable[Architecture]) -> list[Architecture]:
    """Return at most 12 feasible architectures whose FLOPs are most alike, among the first 64 candidates.

    Args:
        experiment: The experiment.
        candidates: The first generation, or the architectures that are given.
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
    priced: list[tuple[float, Architecture]] = []
    for architecture in islice(dict.fromkeys(candidates), POOL):
        costs = scoring.score(architecture).values
        if costs and not any(c.excess(costs[c.score]) for c in experiment.constraints if c.score in costs):
            priced.append((costs.get(COST, 1.0), architecture))
    return _most_alike(priced)


def _is_cost(name: str, experiment: Experiment) -> bool:
    return proxies.load(name, experiment.code).is_cost


def _most_alike(priced: Sequence[tuple[float, Architecture]]) -> list[Architecture]:
    """Return the 12 architectures whose highest cost exceeds the lowest by the smallest factor, cheapest first."""
    ordered = sorted(priced, key=lambda pair: pair[0])
    cost = np.log(np.maximum([price for price, _ in ordered], 1.0)) if ordered else np.empty(0)
    starts = range(max(1, len(ordered) - SIZE + 1))
    first = min(starts, key=lambda i: cost[min(i + SIZE, len(cost)) - 1] - cost[i]) if ordered else 0
    return [architecture for _, architecture in ordered[first : first + SIZE]]
