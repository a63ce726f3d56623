"""The rule of the first round: some networks of the front, and others at random, stratified by cost."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from zenfront import spaces
from zenfront.pipeline.analysis.learned import round_sizes
from zenfront.pipeline.analysis.strata import cost_strata, round_robin
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import violations
from zenfront.pipeline.record.training_result import main_cost
from zenfront.pipeline.results.front import Front, Member
from zenfront.pipeline.results.rounds import Round, RoundNetwork
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator


def feasible(scored: Sequence[Scores], experiment: Experiment) -> list[Scores]:
    """Return the architectures that keep all constraints, each once, sorted by id."""
    distinct = sorted({s.architecture.id: s for s in scored}.values(), key=lambda s: s.architecture.id)
    return [s for s, excess in zip(distinct, violations(distinct, experiment.constraints), strict=True) if excess <= 0]


def with_first_round(experiment: Experiment, front: Front, drawn: Sequence[Scores], archive: Sequence[Scores]) -> Front:
    """Return a front of which the first round is selected: some by the rule, the others at random.

    Args:
        experiment: The experiment.
        front: Front of the search, with the selected members.
        drawn: Feasible architectures that were drawn at random.
        archive: Feasible architectures of the search, which are taken at random if too few were drawn.
    """
    by_rule = front.chosen[: share_by_rule(experiment, 0)]
    networks = [RoundNetwork(member.id, "front") for member in by_rule]
    taken = {network.architecture for network in networks}
    others = at_random(experiment, [drawn, archive], sizes_of(experiment)[0] - len(by_rule), taken, 1)
    networks += [RoundNetwork(scores.architecture.id, "random") for scores in others]
    return replace(front, selected=()).with_round(
        Round(1, front.rule, tuple(networks)), [member_of(scores, experiment) for scores in others]
    )


def sizes_of(experiment: Experiment) -> list[int]:
    """Return the number of networks of each round."""
    return round_sizes(experiment.select.k, experiment.select.rounds)


def share_by_rule(experiment: Experiment, position: int) -> int:
    """Return how many networks of a round, given by its position from 0, the rule selects and not chance."""
    size = sizes_of(experiment)[position]
    return size - round(experiment.select.random_share * size)


def at_random(
    experiment: Experiment, pools: Sequence[Sequence[Scores]], count: int, taken: Collection[str], number: int
) -> list[Scores]:
    """Return up to `count` architectures at random from even steps of the main cost, none of which is taken.

    Args:
        experiment: The experiment; its seed and the number of the round draw.
        pools: Feasible architectures, sorted by id; a pool is used when the ones before are exhausted.
        count: Number of architectures.
        taken: Ids of the networks that rounds have chosen.
        number: Number of the round.
    """
    found: list[Scores] = []
    for position, pool in enumerate(pools):
        known = {*taken, *(s.architecture.id for s in found)}
        left = [s for s in pool if s.architecture.id not in known]
        cost = main_cost(experiment)
        strata = cost_strata(np.array([s.values[cost] for s in left])) if cost and left else np.zeros(len(left))
        generator = numpy_generator(experiment.search.seed, "random part", str(number), str(position))
        picked = round_robin(strata, generator.permutation(len(left)), count - len(found)) if left else []
        found += [left[i] for i in picked]
    return found


def member_of(scores: Scores, experiment: Experiment) -> Member:
    """Return a scored architecture as front.json holds it, with the scores of the experiment."""
    architecture, names = scores.architecture, set(experiment.score_names())
    notation = spaces.load(experiment.space, experiment.code).notation(architecture)
    return Member(architecture, notation, {k: v for k, v in scores.values.items() if k in names}, scores.errors)
