"""Evidence: what is lost by training only what a selection rule picks?"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from zenfront.pipeline import proxies
from zenfront.pipeline.analysis import regret as analysis
from zenfront.pipeline.analysis.evidence import LEAST
from zenfront.pipeline.analysis.regret import Regret, Rule
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.sample import Sample, oriented
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.plots import html
from zenfront.pipeline.ranking import log_rank_sum
from zenfront.pipeline.record.json_file import write_json
from zenfront.pipeline.seeds import numpy_generator

KINDS = ("front", "stratified", "top")
READING = (
    "At every FLOPs level, the best accuracy at most at that cost minus the best of the selected architectures at most "
    "at that cost: the mean over the levels ± its standard deviation over random subsets of the architectures, and "
    "after the slash the largest over the levels, in the mean over the subsets. Every rule selects from the same "
    "subsets, and loses against the best of its subset. front: the non-dominated first, then the next front, the most "
    "isolated of the last; stratified: round-robin over the FLOPs levels, the best by the score first; top: the best "
    "by the score. A plus sums the logarithms of the ranks. Of a cost less is better as an objective of a front, more "
    "elsewhere."
)


@dataclass(frozen=True)
class Study:
    """How regret is taken.

    Attributes:
        budgets: Numbers of trained networks.
        subsets: Random subsets of the architectures.
        share: Of the architectures in a subset.
        seed: Of the subsets.
    """

    budgets: Sequence[int]
    subsets: int
    share: float
    seed: int


@dataclass(frozen=True)
class Spread:
    """Regret over the subsets.

    Attributes:
        mean: Of the mean regret.
        deviation: Standard deviation of the mean regret over the subsets.
        worst: Mean of the largest regret.
        whole: Mean regret on all architectures, in the mean over ties and draws.
        whole_worst: Largest regret there, likewise.
    """

    mean: float
    deviation: float
    worst: float
    whole: float
    whole_worst: float


@dataclass(frozen=True)
class Result:
    """The regret of one rule, by the number of trained networks."""

    rule: str
    means: Mapping[int, Spread]


def usual(experiment: Experiment) -> list[str]:
    """The rules that are worth a comparison for an experiment: its front, its scores by FLOPs level, chance."""
    names = [objective.score for objective in experiment.objectives if not proxies.load(objective.score).is_cost]
    front = dict.fromkeys(
        [*(objective.score for objective in experiment.objectives if objective.score in names), "flops"]
    )
    summed = [f"stratified:{'+'.join(names)}"] if len(names) > 1 else []
    return [f"front:{','.join(front)}", *summed, *(f"stratified:{name}" for name in names), "stratified", "random"]


def regret(sample: Sample, rules: Sequence[str], study: Study) -> list[Result]:
    """The regret of every rule.

    Raises:
        UserError: A rule is not of the form, or names a score that was not taken; there are too few architectures.
    """
    if len(sample.known.accuracy) < LEAST:
        raise UserError(f"at least {LEAST} architectures are needed, but got {len(sample.known.accuracy)}.")
    makers = {rule: _maker(rule, sample) for rule in dict.fromkeys(rules)}
    return [Result(rule, {n: _spread(make, sample, n, study) for n in study.budgets}) for rule, make in makers.items()]


def _spread(make: Callable[[np.ndarray], Rule], sample: Sample, count: int, study: Study) -> Spread:
    generators = [numpy_generator(study.seed, "regret", str(i)) for i in range(study.subsets)]
    accuracy, cost = sample.known.accuracy, sample.scores["flops"]
    parts = analysis.spread(make, accuracy, cost, count, generators, study.share)
    wholes = analysis.spread(make, accuracy, cost, count, generators[:10], 1.0)
    means = [part.mean for part in parts]
    return Spread(
        float(np.mean(means)),
        float(np.std(means, ddof=1)) if len(means) > 1 else 0.0,
        _mean(parts, "worst"),
        _mean(wholes, "mean"),
        _mean(wholes, "worst"),
    )


def _mean(regrets: Sequence[Regret], part: str) -> float:
    return float(np.mean([getattr(one, part) for one in regrets]))


def _maker(rule: str, sample: Sample) -> Callable[[np.ndarray], Rule]:
    """From a subset of the architectures to the rule on it."""
    kind, colon, scores = rule.partition(":")
    cost = sample.scores["flops"]
    if rule == "random":
        return lambda subset: analysis.random(len(subset))
    if rule == "stratified":
        return lambda subset: analysis.stratified(None, cost[subset])
    if kind not in KINDS or not colon:
        raise UserError(f"--rule: {rule!r} is neither random, stratified, nor one of {', '.join(KINDS)} with scores.")
    objectives = [text.split("+") for text in scores.split(",")]
    if unknown := [name for names in objectives for name in names if name not in sample.scores]:
        known = ", ".join(sample.scores)
        raise UserError(f"--rule {rule}: there is no score {unknown[0]!r}. There are: {known}.")
    if kind == "front":
        return lambda subset: analysis.front(np.array([_loss(o, sample, subset, front=True) for o in objectives]).T)
    if len(objectives) > 1:
        raise UserError(f"--rule {rule}: {kind} takes one objective; sum the ranks of several with `+`.")
    if kind == "top":
        return lambda subset: analysis.top(_loss(objectives[0], sample, subset))
    return lambda subset: analysis.stratified(_loss(objectives[0], sample, subset), cost[subset])


def _loss(names: Sequence[str], sample: Sample, subset: np.ndarray, *, front: bool = False) -> np.ndarray:
    """Return the loss (n,) on a subset, finite: ranks, or the negative sum of their logarithms; undefined is worst."""
    columns = []
    for name in names:
        less = front and len(names) == 1 and name in proxies.names() and proxies.load(name).is_cost
        loss = sample.scores[name][subset] if less else -oriented(name, sample.scores[name][subset])
        columns.append(rankdata(np.where(np.isfinite(loss), loss, np.inf), method="min").astype(np.float64))
    return columns[0] if len(columns) == 1 else -log_rank_sum(np.array(columns).T)


def columns(study: Study) -> list[str]:
    """Of the table."""
    return ["rule", *(f"{n} networks" for n in study.budgets)]


def rows(results: Sequence[Result]) -> list[list[str]]:
    """The table: mean ± deviation / largest."""
    return [
        [result.rule, *(f"{s.mean:.2f} ± {s.deviation:.2f} / {s.worst:.1f}" for s in result.means.values())]
        for result in results
    ]


def title(sample: Sample, study: Study) -> str:
    """What the table is about."""
    n = len(sample.known.accuracy)
    chosen = f"{study.subsets} random subsets of {round(study.share * n)} of {n} architectures of {sample.space.name}"
    return f"Regret, mean ± deviation / largest: {chosen}; {sample.known.source}"


def write(results: Sequence[Result], sample: Sample, study: Study, folder: Path) -> Path:
    """Writes regret.html, regret.csv and regret.json; returns the path of the first.

    Raises:
        UserError: The folder cannot be written.
    """
    heading, table = html.heading(title(sample, study)), html.table(columns(study), rows(results))
    page = html.page("Regret", [html.heading("Regret", 1), heading, table, html.paragraph(READING)])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "regret.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["rule", "networks", "mean", "deviation", "worst", "whole", "whole_worst"])
            for result in results:
                for n, spread in result.means.items():
                    writer.writerow([result.rule, n, *(f"{value:.4f}" for value in asdict(spread).values())])
        (folder / "regret.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}.") from error
    means = {result.rule: {n: asdict(spread) for n, spread in result.means.items()} for result in results}
    write_json(
        folder / "regret.json", {"study": asdict(study), "architectures": len(sample.known.accuracy), "rules": means}
    )
    return folder / "regret.html"
