"""What is lost by training only the architectures that a selection rule picks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.pareto import crowding_distance, front_indices

Rule = Callable[[int, np.random.Generator], np.ndarray]
"""(how many, randomness) -> indices of the picked, at most so many."""


@dataclass(frozen=True)
class Regret:
    """Percentage points (or the accuracy's unit) lost against the best at equal cost.

    Attributes:
        mean: Over the cost levels.
        worst: The largest.
    """

    mean: float
    worst: float


def regret(picked: np.ndarray, accuracy: np.ndarray, cost: np.ndarray) -> Regret:
    """The best accuracy at most at each cost level, minus the best of the picked at most at that cost.

    Where nothing picked is cheap enough, the least accuracy of all counts: that of not learning.

    Args:
        picked: Indices.
        accuracy: (n,), higher is better.
        cost: (n,); every distinct value is a level.
    """
    levels = np.unique(cost)
    lost = _best_below(levels, accuracy, cost) - np.maximum(
        _best_below(levels, accuracy[picked], cost[picked]), accuracy.min()
    )
    return Regret(float(lost.mean()), float(lost.max()))


def _best_below(levels: np.ndarray, accuracy: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """The best accuracy at most at each level, -inf where there is none."""
    best = np.full(len(levels), -np.inf)
    np.maximum.at(best, np.searchsorted(levels, cost), accuracy)
    return np.asarray(np.maximum.accumulate(best))


def random(n: int) -> Rule:
    """So many at random."""
    return lambda count, generator: generator.permutation(n)[:count]


def stratified(loss: np.ndarray | None, cost: np.ndarray) -> Rule:
    """Round-robin over the cost levels, the best of each first; at random where there is no loss.

    Fewer than there are levels: evenly spread over them, with the cheapest and the costliest.
    """

    def rule(count: int, generator: np.random.Generator) -> np.ndarray:
        shuffled = generator.permutation(len(cost))
        keyed = shuffled if loss is None else shuffled[np.argsort(loss[shuffled], kind="stable")]
        queues = [list(keyed[cost[keyed] == level]) for level in np.unique(cost)]
        if count < len(queues):
            queues = [queues[i] for i in np.linspace(0, len(queues) - 1, count).round().astype(int)]
        order: list[int] = []
        while len(order) < min(count, len(cost)):
            order.extend(queue.pop(0) for queue in queues if queue)
        return np.array(order[:count])

    return rule


def front(losses: np.ndarray) -> Rule:
    """The non-dominated, then those of the rest, and so on; of the last front the most isolated.

    Args:
        losses: (n, m), lower is better.
    """

    def rule(count: int, generator: np.random.Generator) -> np.ndarray:
        left, picked = generator.permutation(len(losses)), np.empty(0, dtype=int)
        while len(picked) < count and len(left):
            first = front_indices(losses[left])
            members = left[first]
            if len(picked) + len(members) > count:
                distance = crowding_distance(losses[members])
                members = members[np.argsort(-distance, kind="stable")[: count - len(picked)]]
            picked, left = np.concatenate([picked, members]), np.delete(left, first)
        return picked

    return rule


def top(loss: np.ndarray) -> Rule:
    """The best by one loss (n,)."""

    def rule(count: int, generator: np.random.Generator) -> np.ndarray:
        shuffled = generator.permutation(len(loss))
        return np.asarray(shuffled[np.argsort(loss[shuffled], kind="stable")[:count]])

    return rule


def spread(
    make: Callable[[np.ndarray], Rule],
    accuracy: np.ndarray,
    cost: np.ndarray,
    count: int,
    generators: Sequence[np.random.Generator],
    share: float,
) -> list[Regret]:
    """The regret of a rule over random subsets of the architectures, a subset per generator.

    Args:
        make: The rule on the architectures with these indices; it picks positions among them.
        accuracy: (n,).
        cost: (n,).
        count: How many are trained.
        generators: Each draws a subset and settles the ties of the rule.
        share: Of the architectures in a subset; 1: all of them, and only ties and random rules differ.
    """
    regrets = []
    for generator in generators:
        subset = np.sort(generator.permutation(len(cost))[: max(1, round(share * len(cost)))])
        picked = make(subset)(count, generator)
        regrets.append(regret(picked, accuracy[subset], cost[subset]))
    return regrets
