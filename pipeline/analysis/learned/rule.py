"""Selection in rounds as a rule of `analysis.regret`: a first part without a model, then what the model chooses."""

import numpy as np

from zenfront.pipeline.analysis.learned.acquisition import choose
from zenfront.pipeline.analysis.learned.encoding import Candidates
from zenfront.pipeline.analysis.learned.model import Observations, fit
from zenfront.pipeline.analysis.regret import Rule
from zenfront.pipeline.analysis.strata import cost_strata, round_robin

ROUNDS = 6
LEAST = 3
"""Networks from which a model can be fitted."""


def learned_rule(candidates: Candidates, accuracy: np.ndarray, rounds: int = ROUNDS) -> Rule:
    """Pick a first part, train it, and let the model choose the rest in rounds; each round is trained to the end.

    Args:
        candidates: (n,).
        accuracy: (n,), finite; that of a candidate is looked at after it was picked.
        rounds: Number of rounds with the first part, at least 1.
    """

    def rule(count: int, generator: np.random.Generator) -> np.ndarray:
        first, *later = round_sizes(min(count, len(accuracy)), rounds)
        picked = first_part(candidates, first, generator)
        for size in later:
            model = fit(candidates, Observations.complete(picked, accuracy[picked]))
            picked = np.append(picked, choose(model, candidates, size, picked).picked)
        return picked

    return rule


def round_sizes(count: int, rounds: int) -> list[int]:
    """Return how many of `count` networks each round trains: the first one half more than the others, at least 3.

    There are fewer rounds if one would be empty.
    """
    if rounds == 1 or count <= LEAST:
        return [count]
    first = max(LEAST, -(-3 * count // (2 * rounds + 1)))
    others = min(rounds - 1, count - first)
    return [first, *((count - first) * (i + 1) // others - (count - first) * i // others for i in range(others))]


def first_part(candidates: Candidates, count: int, generator: np.random.Generator, share: float = 0.5) -> np.ndarray:
    """Pick over even steps of the cost, the cheapest and the costliest included: some by the prior, some at random.

    Args:
        candidates: (n,).
        count: Number of candidates to pick.
        generator: Draws the random ones, and breaks ties.
        share: Share of the steps in which a random candidate is picked; the others give the one of highest prior.
    """
    strata = cost_strata(candidates.cost)
    shuffled = generator.permutation(len(strata))
    ordered = shuffled[np.argsort(-candidates.prior[shuffled], kind="stable")]
    free = np.ones(len(strata), dtype=bool)
    picked = []
    for turn, stratum in enumerate(strata[round_robin(strata, shuffled, count)]):
        is_random = int((turn + 1) * share) > int(turn * share)
        order = shuffled if is_random else ordered
        row = order[free[order] & (strata[order] == stratum)][0]
        free[row] = False
        picked.append(int(row))
    return np.array(picked, dtype=int)
