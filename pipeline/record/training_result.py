"""Find the trained front of a run: from the outcomes of its training runs and the costs that its search recorded."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from zenfront.pipeline import proxies
from zenfront.pipeline.analysis import trained_front as analysis
from zenfront.pipeline.analysis.accuracy_cost_box import Box, metric_range
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.baselines import asked_baselines
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.train_config import Train
from zenfront.pipeline.results.baselines import Baselines, TrainedBaseline
from zenfront.pipeline.results.front import Front, Member
from zenfront.pipeline.results.stage_rows import TrainedRun
from zenfront.pipeline.results.trained_networks import CostAxis, Pick, Reference, TrainedFront, TrainedNetwork

WORDS = {"flops": "multiply-adds", "params": "parameters"}
"""Costs in words, in the reasons of the picks."""
LARGEST = 10**7
"""Largest number of images that `count_images` looks for."""


@dataclass(frozen=True)
class DataFacts:
    """Facts about the data that the noise of an accuracy depends on.

    Attributes:
        chance: Accuracy of guessing, a fraction; None: the metric is none, and has no such level.
        validation_images: Number of images behind a validation accuracy; None if it is unknown.
        test_images: Number of images behind a test accuracy; None if it is unknown.
    """

    chance: float | None
    validation_images: float | None = None
    test_images: float | None = None


def compared_costs(experiment: Experiment) -> tuple[str, ...]:
    """Return the costs by which the scheduler compares runs, as `train.objectives` says; empty: by accuracy alone."""
    train = experiment.train
    if train.objectives is not None:
        return tuple(name for name in train.objectives if name != train.compared.name)
    return search_costs(experiment)


def search_costs(experiment: Experiment) -> tuple[str, ...]:
    """Return the costs among the objectives of the search: what a network costs to run, and less is better."""
    minimised = (objective.score for objective in experiment.objectives if objective.direction == "minimise")
    return tuple(name for name in minimised if proxies.load(name, experiment.own_code()).is_running_cost)


def main_cost(experiment: Experiment) -> str | None:
    """Return the cost along which trained networks are compared first, or None if there is no cost."""
    return next(iter(compared_costs(experiment) or search_costs(experiment)), None)


def costs_of(members: Sequence[Member], names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Return the costs of members by id, as the search recorded them: a measured cost is not measured again.

    Raises:
        UserError: The search did not record a cost.
    """
    for member in members:
        if missing := [name for name in names if name not in member.values]:
            raise UserError(
                f"train.objectives: front.json has no value of {missing[0]!r} for {member.id}. "
                "Name an objective or a constraint of the search that made it."
            )
    return {member.id: tuple(member.values[name] for name in names) for member in members}


def covers(trials: Sequence[TrainedRun], selected: Sequence[str], seeds: Sequence[int]) -> bool:
    """Return whether every selected network has an outcome for the first seed, and a finished one for all seeds."""
    found = {(run.architecture, run.seed): run.status for run in trials}
    return all(
        (name, seed) in found
        for name in selected
        for seed in (seeds if found.get((name, seeds[0])) == "finished" else seeds[:1])
    )


def baseline_costs(experiment: Experiment) -> tuple[str, ...]:
    """Return the costs of known networks that are computed: those that trained networks are shown against."""
    return compared_costs(experiment) or search_costs(experiment)


def covers_baselines(experiment: Experiment, known: Baselines, selected: Sequence[str]) -> bool:
    """Return whether every baseline that is asked has an outcome for all seeds, unless it is a selected network."""
    found = {(run.architecture, run.seed) for run in known.trials}
    ids = [each.member.id for each in known.networks if each.member.id not in selected]
    asked = sorted(asked_baselines(experiment)) == sorted(known.asked)
    return asked and all((name, seed) in found for name in ids for seed in experiment.train.seeds)


def find_trained_front(
    experiment: Experiment, front: Front, trials: Sequence[TrainedRun], facts: DataFacts | None = None
) -> TrainedFront | None:
    """Return the trained front, or None if no run was trained to the end and tested.

    The costs are those that the scheduler compares by. If it compares by accuracy alone, they are those of the search.

    Args:
        experiment: The experiment.
        front: Front of the search, with the costs.
        trials: Outcomes of the training runs.
        facts: Facts about the data; None: chance is that of equally large classes, and the numbers of images are
            derived from the accuracies.
    """
    metric = experiment.train.compared.name
    if all(run.test(metric) is None for run in trials):
        return None
    names = compared_costs(experiment) or search_costs(experiment)
    runs: dict[str, list[TrainedRun]] = {}
    for run in trials:
        runs.setdefault(run.architecture, []).append(run)
    facts = facts or _derived_facts(experiment, trials)
    members = [member for member in front.chosen if member.id in runs]
    costs = costs_of(members, names)
    networks = [_network(m, dict(zip(names, costs[m.id], strict=True)), runs[m.id], metric, facts) for m in members]
    networks.sort(key=lambda network: (*network.costs.values(), network.architecture))
    finished = [network for network in networks if network.status == "finished"]
    table = np.array([_by_seed(runs[network.architecture], experiment, metric) for network in finished])
    return _compared(networks, finished, table, names, experiment.train, facts)


def trained_baselines(
    experiment: Experiment, baselines: Baselines, trials: Sequence[TrainedRun]
) -> tuple[TrainedBaseline, ...]:
    """Return the baselines that were trained, the cheapest first.

    Args:
        experiment: The experiment.
        baselines: Baselines with the outcomes of their training.
        trials: Outcomes of the selected networks, which baselines may be among.
    """
    names, metric = baseline_costs(experiment), experiment.train.compared.name
    every = [*trials, *baselines.trials]
    facts = _derived_facts(experiment, every)
    found = []
    for baseline in baselines.networks:
        runs = [run for run in every if run.architecture == baseline.member.id]
        if runs:
            costs = {name: baseline.member.values[name] for name in names}
            network = _network(baseline.member, costs, runs, metric, facts)
            found.append(TrainedBaseline(baseline.name, baseline.drawn, network))
    return tuple(sorted(found, key=lambda each: (*each.network.costs.values(), each.name)))


def _network(
    member: Member, costs: Mapping[str, float], runs: Sequence[TrainedRun], metric: str, facts: DataFacts
) -> TrainedNetwork:
    tested = [accuracy for run in runs if (accuracy := run.test(metric)) is not None]
    first = runs[0]
    values = np.array(tested or [run for run in [first.validation(metric)] if run is not None])
    images = facts.test_images if tested else facts.validation_images
    return TrainedNetwork(
        architecture=member.id,
        notation=member.notation,
        costs=costs,
        accuracy=float(values.mean()) if len(values) else None,
        error=float(values.std(ddof=1)) if len(values) > 1 else _binomial(values, images),
        seeds=len(values),
        status="finished" if tested else first.status if first.status != "finished" else "failed",
        epochs=max(run.epochs for run in runs),
    )


def _binomial(values: np.ndarray, images: float | None) -> float | None:
    if not len(values) or images is None:
        return None
    return math.sqrt(values[0] * (1 - values[0]) / images)


def _by_seed(runs: Sequence[TrainedRun], experiment: Experiment, metric: str) -> list[float]:
    found = {run.seed: run.test(metric) for run in runs}
    tested = [found.get(seed) for seed in experiment.train.seeds]
    return [math.nan if accuracy is None else accuracy for accuracy in tested]


def _compared(
    networks: Sequence[TrainedNetwork],
    finished: Sequence[TrainedNetwork],
    table: np.ndarray,
    names: Sequence[str],
    train: Train,
    facts: DataFacts,
) -> TrainedFront:
    """Return the front of the finished networks; `table` has their accuracies by seed, (n, s)."""
    metric = train.compared
    images = None if train.function else facts.test_images or math.inf
    mean, error = analysis.mean_and_error(metric.sign * table, images)
    chance, ideal = metric_range(mean) if facts.chance is None else (facts.chance, 1.0)
    found = analysis.trained_front(
        mean,
        error,
        _cost_table(finished),
        cost_names=[WORDS.get(name, name.replace("_", " ")) for name in names or ("cost",)],
        chance=chance,
        selected_costs=_cost_table(networks),
        metric=metric,
        ideal=ideal,
    )
    ids = [network.architecture for network in finished]
    alike: dict[str, list[str]] = {name: [] for name in ids}
    for i, j in found.indistinct:
        alike[ids[i]].append(ids[j])
        alike[ids[j]].append(ids[i])
    marked = {
        network.architecture: replace(
            network,
            on_front=index in found.front,
            dominated_by=tuple(ids[other] for other in found.dominated_by[index]),
            indistinguishable=tuple(alike[network.architecture]),
        )
        for index, network in enumerate(finished)
    }
    picks = (Pick(pick.name, ids[pick.index], pick.reason) for pick in found.picks)  # type: ignore[arg-type]
    return TrainedFront(
        objectives=(metric.name, *names),
        networks=tuple(marked.get(network.architecture, network) for network in networks),
        hypervolume=found.hypervolume,
        reference=Reference(metric.sign * chance, _axes(found.box, names), metric.sign * ideal),
        picks=tuple(pick for pick in picks if names or pick.name == "most_accurate"),
        direction=metric.direction,
    )


def _cost_table(networks: Sequence[TrainedNetwork]) -> np.ndarray:
    """Return the costs (n, c); without costs a column of ones, beside which the most accurate is the front."""
    return np.array([list(network.costs.values()) or [1.0] for network in networks])


def _axes(box: Box, names: Sequence[str]) -> dict[str, CostAxis]:
    ends = zip(names, box.cheapest, box.costs, box.logarithmic, strict=False)
    return {name: CostAxis(float(low), float(high), logarithmic) for name, low, high, logarithmic in ends}


def _derived_facts(experiment: Experiment, trials: Sequence[TrainedRun]) -> DataFacts:
    classes = experiment.task.classes
    chance = 1 / classes if classes and experiment.train.compared.is_accuracy else None
    if experiment.train.metric != "accuracy" or experiment.train.function:
        return DataFacts(chance)
    return DataFacts(
        chance,
        count_images([run.val_accuracy for run in trials if run.val_accuracy is not None]),
        count_images([run.test_accuracy for run in trials if run.test_accuracy is not None]),
    )


def count_images(accuracies: Sequence[float]) -> int | None:
    """Return the least number of images of which all these accuracies are fractions; None if there is none.

    It divides the true number, so an error that is computed from it is not too small.
    """
    count = 1
    for accuracy in accuracies:
        count = math.lcm(count, Fraction(accuracy).limit_denominator(LARGEST).denominator)
    return count if 1 < count <= LARGEST else None
