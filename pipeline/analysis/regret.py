"""Regret: the accuracy that is lost by training only the architectures that a selection rule picks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from zenfront.pipeline.analysis.strata import cost_levels, cost_strata, round_robin
from zenfront.pipeline.pareto import crowding_distance, front_indices

Rule = Callable[[int, np.random.Generator], np.ndarray]
"""(count, generator) -> indices of at most `count` picked architectures."""


@dataclass(frozen=True)
class Regret:
    """Loss against the best at equal cost, in the unit of the accuracy.

    Attributes:
        mean: Mean over the cost levels.
        worst: Maximum over the cost levels.
    """

    mean: float
    worst: float


def measure_regret(picked: np.ndarray, accuracy: np.ndarray, cost: np.ndarray) -> Regret:
    """Return the best accuracy at each cost level or below, minus the best of the picked at that level or below.

    If none of the picked is cheap enough for a level, the lowest accuracy of all counts there: that of not learning.

    Args:
        picked: Indices.
        accuracy: (n,), higher is better.
        cost: (n,); the levels are those of `cost_levels`.
    """
    levels = cost_levels(cost)
    lost = _best_below(levels, accuracy, cost) - np.maximum(
        _best_below(levels, accuracy[picked], cost[picked]), accuracy.min()
    )
    return Regret(float(lost.mean()), float(lost.max()))


def _best_below(levels: np.ndarray, accuracy: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Return the best accuracy at each level or below, -inf where there is none."""
    best = np.full(len(levels), -np.inf)
    np.maximum.at(best, np.searchsorted(levels, cost), accuracy)
    return np.asarray(np.maximum.accumulate(best))


def random_rule(n: int) -> Rule:
    """Pick at random from n architectures."""
    return lambda count, generator: generator.permutation(n)[:count]


def stratified_rule(loss: np.ndarray | None, cost: np.ndarray) -> Rule:
    """Pick round-robin over the strata of the cost, the lowest loss of each first; without a loss, at random.

    If fewer are picked than there are strata, the strata are spread evenly and include the cheapest and the costliest.
    """
    strata = cost_strata(cost)

    def rule(count: int, generator: np.random.Generator) -> np.ndarray:
        shuffled = generator.permutation(len(cost))
        ordered = shuffled if loss is None else shuffled[np.argsort(loss[shuffled], kind="stable")]
        return np.array(round_robin(strata, ordered, count), dtype=int)

    return rule


def front_rule(losses: np.ndarray) -> Rule:
    """Pick the non-dominated, then those of the rest, and so on; of the last front, the most isolated.

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


def top_rule(loss: np.ndarray) -> Rule:
    """Pick the lowest of one loss (n,); ties are drawn."""

    def rule(count: int, generator: np.random.Generator) -> np.ndarray:
        shuffled = generator.permutation(len(loss))
        return np.asarray(shuffled[np.argsort(loss[shuffled], kind="stable")[:count]])

    return rule


def measure_on_subsets(
    make_rule: Callable[[np.ndarray], Rule],
    accuracy: np.ndarray,
    cost: np.ndarray,
    count: int,
    generators: Sequence[np.random.Generator],
    share: float,
) -> list[Regret]:
    """Measure the regret of a rule on random subsets of the architectures, one subset per generator.

    Args:
        make_rule: Returns the rule on the architectures with these indices; it picks positions among them.
        accuracy: (n,).
        cost: (n,).
        count: Number of architectures that are trained.
        generators: Each draws a subset and breaks the ties of the rule.
        share: Share of the architectures in a subset; with 1, only ties and random rules differ.
    """
    regrets = []
    for generator in generators:
        subset = np.sort(generator.permutation(len(cost))[: max(1, round(share * len(cost)))])
        picked = make_rule(subset)(count, generator)
        regrets.append(measure_regret(picked, accuracy[subset], cost[subset]))
    return regrets
