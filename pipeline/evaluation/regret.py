"""Regret of selection rules: the accuracy that is lost by training only the architectures that a rule picks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from zenfront.pipeline import proxies
from zenfront.pipeline.analysis import regret as analysis
from zenfront.pipeline.analysis.learned import ROUNDS
from zenfront.pipeline.analysis.regret import Regret, Rule
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.learned import make_learned
from zenfront.pipeline.evaluation.sample import Sample, orient
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.ranking import log_rank_sum
from zenfront.pipeline.seeds import numpy_generator

KINDS = ("front", "learned", "stratified", "top")
WHOLE = 10
"""Repetitions on all architectures, which differ by ties and random picks only."""


@dataclass(frozen=True)
class RegretSettings:
    """Settings under which rules are compared.

    Attributes:
        budgets: Numbers of networks that are trained.
        subsets: Number of random subsets of the architectures.
        share: Share of the architectures in a subset.
        seed: Seed of the subsets.
        rounds: Number of rounds in which the rule ``learned`` trains, with the first part.
    """

    budgets: Sequence[int]
    subsets: int
    share: float
    seed: int
    rounds: int = ROUNDS


@dataclass(frozen=True)
class RegretSummary:
    """Regret of a rule at one budget, over the subsets.

    Attributes:
        mean: Mean over the subsets of the mean regret.
        deviation: Standard deviation over the subsets of the mean regret.
        worst: Mean over the subsets of the largest regret.
        whole: Mean regret on all architectures, averaged over ties and random picks.
        whole_worst: Largest regret on all architectures, averaged in the same way.
    """

    mean: float
    deviation: float
    worst: float
    whole: float
    whole_worst: float


@dataclass(frozen=True)
class RuleRegret:
    """Regret of one rule.

    Attributes:
        rule: The rule as the user wrote it.
        by_budget: Summary by number of trained networks.
    """

    rule: str
    by_budget: Mapping[int, RegretSummary]


def default_rules(experiment: Experiment) -> list[str]:
    """Return the rules to compare for an experiment: its front, its scores by FLOPs level, and chance."""
    every = (objective.score for objective in experiment.objectives)
    names = [name for name in every if not proxies.load(name, experiment.code).is_cost]
    summed = [f"stratified:{'+'.join(names)}"] if len(names) > 1 else []
    front = ",".join([*names, "flops"])
    return [f"front:{front}", *summed, *(f"stratified:{name}" for name in names), "stratified", "random"]


def compare_rules(sample: Sample, rules: Sequence[str], settings: RegretSettings) -> list[RuleRegret]:
    """Measure the regret of every rule; all rules pick from the same subsets.

    Raises:
        UserError: A rule does not have the required form, or names a score that was not taken; there are too few
            architectures.
    """
    sample.require_enough()
    makers = {rule: _parse_rule(rule, sample, settings.rounds) for rule in dict.fromkeys(rules)}
    return [
        RuleRegret(rule, {n: _summarise(make, sample, n, settings) for n in settings.budgets})
        for rule, make in makers.items()
    ]


def _summarise(
    make: Callable[[np.ndarray], Rule], sample: Sample, count: int, settings: RegretSettings
) -> RegretSummary:
    generators = [numpy_generator(settings.seed, "regret", str(i)) for i in range(settings.subsets)]
    accuracy, cost = sample.truth.accuracy, sample.scores["flops"]
    parts = analysis.measure_on_subsets(make, accuracy, cost, count, generators, settings.share)
    wholes = analysis.measure_on_subsets(make, accuracy, cost, count, generators[:WHOLE], 1.0)
    means = [part.mean for part in parts]
    return RegretSummary(
        mean=float(np.mean(means)),
        deviation=float(np.std(means, ddof=1)) if len(means) > 1 else 0.0,
        worst=_mean(parts, "worst"),
        whole=_mean(wholes, "mean"),
        whole_worst=_mean(wholes, "worst"),
    )


def _mean(regrets: Sequence[Regret], attribute: str) -> float:
    return float(np.mean([getattr(each, attribute) for each in regrets]))


def _parse_rule(rule: str, sample: Sample, rounds: int) -> Callable[[np.ndarray], Rule]:
    """Return a function from a subset of the architectures (indices) to the rule on it."""
    kind, colon, scores = rule.partition(":")
    cost = sample.scores["flops"]
    if rule == "random":
        return lambda subset: analysis.random_rule(len(subset))
    if rule == "stratified":
        return lambda subset: analysis.stratified_rule(None, cost[subset])
    if rule == "learned":
        return make_learned(sample, None, rounds)
    if kind not in KINDS or not colon:
        plain = "random, stratified, learned"
        raise UserError(f"--rule: {rule!r} is neither {plain}, nor one of {', '.join(KINDS)} with scores.")
    objectives = [text.split("+") for text in scores.split(",")]
    if unknown := [name for names in objectives for name in names if name not in sample.scores]:
        known = ", ".join(sample.scores)
        raise UserError(f"--rule {rule}: there is no score {unknown[0]!r}. Known scores: {known}.")
    if kind == "learned":
        return make_learned(sample, [name for names in objectives for name in names], rounds)
    if kind == "front":
        return lambda subset: analysis.front_rule(
            np.array([_loss(names, sample, subset, front=True) for names in objectives]).T
        )
    if len(objectives) > 1:
        raise UserError(f"--rule {rule}: {kind} takes one objective; sum the ranks of several with `+`.")
    if kind == "top":
        return lambda subset: analysis.top_rule(_loss(objectives[0], sample, subset))
    return lambda subset: analysis.stratified_rule(_loss(objectives[0], sample, subset), cost[subset])


def _loss(names: Sequence[str], sample: Sample, subset: np.ndarray, *, front: bool = False) -> np.ndarray:
    """Return the loss (n,) on a subset, finite: ranks, or the negative sum of their logarithms; undefined is worst."""
    columns = []
    for name in names:
        known = name in proxies.names(sample.code)
        less = front and len(names) == 1 and known and proxies.load(name, sample.code).is_cost
        loss = sample.scores[name][subset] if less else -orient(name, sample.scores[name][subset], sample.code)
        columns.append(rankdata(np.where(np.isfinite(loss), loss, np.inf), method="min").astype(np.float64))
    return columns[0] if len(columns) == 1 else -log_rank_sum(np.array(columns).T)
