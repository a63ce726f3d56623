"""Comparison of the trained fronts of several runs: hypervolumes in one box, differences, coverage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from zenfront.pipeline.analysis.accuracy_cost_box import Box, box_around, metric_range
from zenfront.pipeline.analysis.front_comparison import FrontComparison, TrainedNetworks, compare_fronts
from zenfront.pipeline.pareto import front_indices
from zenfront.pipeline.plots import html
from zenfront.pipeline.plots.trained import trained_fronts_figure
from zenfront.pipeline.record.run_folder import differences
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.trained_networks import CostAxis, Reference, TrainedFront
from zenfront.pipeline.wording import number, percent


@dataclass(frozen=True)
class ComparedFronts:
    """Trained fronts of several runs over the costs that all of them have.

    Attributes:
        fronts: Front by name of the run; all have the same objectives and the same box.
        seeds: Number of training seeds by name of the run.
        pairs: Comparison by the names of two runs, each pair once.
    """

    fronts: Mapping[str, TrainedFront]
    seeds: Mapping[str, int]
    pairs: Mapping[tuple[str, str], FrontComparison]

    @property
    def any(self) -> TrainedFront:
        """One of the fronts, for what they share."""
        return next(iter(self.fronts.values()))

    def to_row(self) -> dict[str, Any]:
        """Return the JSON form: numbers by name of the run, and of pairs by one name, then the other."""
        difference: dict[str, dict[str, dict[str, float | None]]] = {}
        coverage: dict[str, dict[str, float]] = {}
        for (a, b), found in self.pairs.items():
            interval = {"value": found.difference.value, "low": found.difference.low, "high": found.difference.high}
            difference.setdefault(a, {})[b] = interval
            coverage.setdefault(a, {})[b], coverage.setdefault(b, {})[a] = found.coverages
        return {
            "metric": self.any.metric.name,
            "reference": {
                "chance": self.any.reference.chance,
                "costs": {name: axis.reference for name, axis in self.any.reference.axes.items()},
            },
            "hypervolume": {name: front.hypervolume for name, front in self.fronts.items()},
            "front_size": {name: len(front.members) for name, front in self.fronts.items()},
            "seeds": dict(self.seeds),
            "difference": difference,
            "coverage": coverage,
        }


def obstacle(names: Sequence[str], records: Sequence[RunRecord]) -> str | None:
    """Return the reason for which the trained fronts of the runs cannot be compared, or None if they can."""
    fronts = [record.trained_front for record in records]
    if missing := [name for name, front in zip(names, fronts, strict=True) if front is None]:
        return f"no network of {' and '.join(missing)} was trained to the end"
    found = [front for front in fronts if front]
    if len({front.metric for front in found}) > 1:
        metrics = [f"{front.metric.direction} {front.metric.name}" for front in found]
        return f"they have different metrics ({_by_run(names, metrics)})"
    outputs = [record.experiment.task.described_outputs for record in records]
    if len(set(outputs)) > 1:
        return f"their tasks have different outputs ({_by_run(names, outputs)})"
    if not shared_costs(found):
        return f"they share no cost ({_by_run(names, [', '.join(front.costs) or 'none' for front in found])})"
    return None


def compare_trained(names: Sequence[str], records: Sequence[RunRecord]) -> ComparedFronts:
    """Compare the trained fronts of runs for which there is no `obstacle`.

    The box of the hypervolumes lies around all networks of all runs that were selected for training.
    """
    found = [record.trained_front for record in records if record.trained_front]
    costs = shared_costs(found)
    everything = [[network.costs[cost] for cost in costs] for front in found for network in front.networks]
    metric, networks = found[0].metric, {n: _networks(record, costs) for n, record in zip(names, records, strict=True)}
    means = np.concatenate([np.nanmean(each.accuracy, axis=1) for each in networks.values()])
    chance, ideal = min(front.reference.chance for front in found), 1.0
    if not metric.is_accuracy:
        chance, ideal = metric_range(means)
    box = box_around(np.array(everything), chance, ideal)
    pairs = {
        (a, b): compare_fronts(networks[a], networks[b], box.chance, box=box) for a, b in combinations(networks, 2)
    }
    volumes = {
        name: volume for pair, seen in pairs.items() for name, volume in zip(pair, seen.hypervolumes, strict=True)
    }
    fronts = {name: _over(front, costs, box, volumes[name]) for name, front in zip(names, found, strict=True)}
    seeds = {name: networks[name].accuracy.shape[1] for name in names}
    return ComparedFronts(fronts, seeds, pairs)


def shared_costs(fronts: Sequence[TrainedFront]) -> tuple[str, ...]:
    """Return the costs that all fronts have, in the order of the first one."""
    return tuple(cost for cost in fronts[0].costs if all(cost in front.costs for front in fronts))


def trained_cautions(names: Sequence[str], records: Sequence[RunRecord]) -> list[str]:
    """Return a sentence for every run whose networks were not trained under the conditions of the first."""

    def conditions(record: RunRecord) -> dict[str, Any]:
        identity = record.experiment.identity()
        chosen = {
            name: value
            for name, value in identity["train"].items()
            if name in ("data", "distillation", "epochs", "function", "options", "recipe")
        }
        own = identity.get("code", {}).get("training", {})
        return {"task": identity["task"], "train": chosen, "code": own}

    first = conditions(records[0])
    found = []
    for name, record in zip(names[1:], records[1:], strict=True):
        if different := list(differences(first, conditions(record))):
            found.append(f"{names[0]} and {name} were trained under different conditions: {'; '.join(different)}.")
    return found


def comparison_blocks(compared: ComparedFronts) -> list[html.Block]:
    """Return the figure of the trained fronts, and the blocks below it."""
    names = list(compared.fronts)
    row = compared.to_row()
    covers = [(name, *(row["coverage"][name].get(other) for other in names)) for name in names]
    volumes = [(name, f.hypervolume, len(f.members), compared.seeds[name]) for name, f in compared.fronts.items()]
    return [
        html.figure(trained_fronts_figure(list(compared.fronts.items())), "trained"),
        html.paragraph(_reading(compared), soft=True),
        html.heading("Hypervolume of the trained fronts", 3),
        html.table(("run", "hypervolume", "networks on the front", "seeds"), volumes),
        html.paragraph(_box(compared.any), soft=True),
        html.heading("Difference of the hypervolumes", 3),
        html.table(("runs", "difference", "95 % interval"), [_difference(*pair) for pair in compared.pairs.items()]),
        html.paragraph(
            "The interval is a bootstrap over the seeds of each run, so it holds for other seeds of the same networks "
            "and not for other searches. With two or three seeds it is too narrow; with one it is unknown.",
            soft=True,
        ),
        html.heading("Coverage of the trained fronts", 3),
        html.table(("share covered by", *names), covers),
        html.paragraph(
            "The share of the column's front that networks of the row equal or dominate, by mean accuracy and costs.",
            soft=True,
        ),
    ]


def _networks(record: RunRecord, costs: Sequence[str]) -> TrainedNetworks:
    """Return accuracies by seed, higher is better, and costs of the networks that were trained to the end."""
    front, seeds = record.trained_front, record.experiment.train.seeds
    finished = front.finished if front else []
    rows = []
    for network in finished:
        runs = record.runs_of(network.architecture)
        tested = {run.seed: run.test(front.metric.name) for run in runs} if front else {}
        sign = front.metric.sign if front else 1
        rows.append([np.nan if (value := tested.get(seed)) is None else sign * value for seed in seeds])
    return TrainedNetworks(
        np.array(rows, dtype=np.float64), np.array([[network.costs[cost] for cost in costs] for network in finished])
    )


def _over(front: TrainedFront, costs: Sequence[str], box: Box, volume: float) -> TrainedFront:
    """Return the front over some of its costs, without picks, in another box."""
    sign = front.metric.sign
    losses = [
        [-sign * (network.accuracy or 0.0), *(network.costs[cost] for cost in costs)] for network in front.finished
    ]
    indices = front_indices(np.array(losses))
    members = {front.finished[index].architecture for index in indices.tolist()}
    networks = [
        replace(
            network,
            costs={cost: network.costs[cost] for cost in costs},
            on_front=network.architecture in members,
            dominated_by=(),
        )
        for network in front.networks
    ]
    networks.sort(key=lambda network: (*network.costs.values(), network.architecture))
    ends = zip(costs, box.cheapest, box.costs, box.logarithmic, strict=True)
    axes = {name: CostAxis(low, high, logarithmic) for name, low, high, logarithmic in ends}
    reference = Reference(sign * box.chance, axes, sign * box.ideal)
    return replace(
        front,
        objectives=(front.metric.name, *costs),
        networks=tuple(networks),
        hypervolume=volume,
        reference=reference,
        picks=(),
    )


def _difference(pair: tuple[str, str], found: FrontComparison) -> tuple[object, ...]:
    spread = found.difference
    interval = "-" if spread.low is None else f"{number(spread.low)} to {number(spread.high)}"
    return (f"{pair[0]} minus {pair[1]}", spread.value, interval)


def _reading(compared: ComparedFronts) -> str:
    one = [name for name, seeds in compared.seeds.items() if seeds == 1]
    bars = "the standard deviation over the seeds"
    if one and compared.any.metric.is_accuracy:
        bars += f"; of {' and '.join(one)}, with one seed, the binomial error of the test images"
    metric = compared.any.metric
    return (
        f"Mean {'test ' * metric.is_accuracy}{metric.words} against cost of the networks on the fronts; the lines are "
        f"the best at most at each cost. Bars show {bars}."
    )


def _box(front: TrainedFront) -> str:
    ends = (f"{name} {number(a.lowest)} to {number(a.reference)}" for name, a in front.reference.axes.items())
    within = f"accuracy from {percent(front.reference.chance)} (guessing) to 100 %"
    if not front.metric.is_accuracy:
        within = f"{front.metric.words} from {number(front.reference.chance)} to {number(front.reference.ideal)}"
    return (
        f"Share of one box: {within}, {', '.join(ends)}, "
        "costs on logarithmic axes where they are positive. The costs are those of all selected networks. Higher is "
        "better."
    )


def _by_run(names: Sequence[str], values: Sequence[str]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))
