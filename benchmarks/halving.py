"""Measure what early stopping loses: runs compared by accuracy alone, or by accuracy and cost.

The schedulers decide on recorded learning curves (NAS-Bench-201, NAS-Bench-101). Workers and the order of arrival are
simulated with the recorded training seconds. Regret is that of `zenfront regret`: at each cost level of the table, the
best accuracy at most at that cost, minus the best of the networks that were trained to the end.

    python benchmarks/halving.py --nasbench201 nasbench201_cifar10.parquet --nasbench101 nasbench101_sample.parquet
    python benchmarks/halving.py --nasbench201 nasbench201_cifar10.parquet --seeds 2 --workers 4 --out quick.json
"""

import argparse
import heapq
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet
from scipy.stats import rankdata

from zenfront.pipeline.analysis import regret as analysis
from zenfront.pipeline.pareto import crowding_distance, epsilon_net, front_indices
from zenfront.pipeline.schedulers import MakeScheduler, Scheduler, TrainingBudget
from zenfront.pipeline.schedulers.asha import Asha
from zenfront.pipeline.schedulers.fifo import Fifo
from zenfront.pipeline.schedulers.successive_halving import SuccessiveHalving
from zenfront.pipeline.seeds import numpy_generator

FACTOR = 3


@dataclass(frozen=True, eq=False)
class Curves:
    """Learning curves of n networks.

    Attributes:
        name: Name of the table.
        epochs: Epochs after which accuracies are known, ascending; the last is the end of the training.
        validation: (n, rungs), share of correct validation images at all epochs but the last.
        accuracy: (n,), test accuracy at the end in percent.
        cost: (n,), lower is better.
        seconds: (n,), training seconds of one epoch.
        images: Number of validation images.
        networks: Number of selected networks.
        selections: Names of the rules that select them.
        scores: Losses (n,) by name, for the rules.
    """

    name: str
    epochs: tuple[int, ...]
    validation: np.ndarray
    accuracy: np.ndarray
    cost: np.ndarray
    seconds: np.ndarray
    images: int
    networks: int
    selections: Sequence[str]
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)

    def part(self, rows: np.ndarray) -> "Curves":
        """Return the curves of some networks."""
        arrays = {name: getattr(self, name)[rows] for name in ("validation", "accuracy", "cost", "seconds")}
        return replace(self, **arrays, scores={name: values[rows] for name, values in self.scores.items()})


@dataclass(frozen=True)
class Arm:
    """A scheduler, with or without what it is told besides the accuracy.

    Attributes:
        make: The scheduler.
        costs: Whether it compares by cost as well.
        noise: Whether it knows the number of validation images, so that differences within the noise are ties.
    """

    make: MakeScheduler
    costs: bool = True
    noise: bool = True


def crowding(losses: np.ndarray) -> np.ndarray:
    """Order the runs of a rank by crowding distance, the most isolated first; equal runs share it."""
    rows, inverse = np.unique(losses, axis=0, return_inverse=True)
    return -crowding_distance(rows)[inverse.reshape(-1)]


ARMS = {
    "all trained": Arm(Fifo),
    "ASHA by accuracy": Arm(Asha, costs=False),
    "ASHA, net": Arm(partial(Asha, spread=epsilon_net)),
    "ASHA, net, every difference counts": Arm(partial(Asha, spread=epsilon_net), noise=False),
    "ASHA, crowding": Arm(partial(Asha, spread=crowding)),
    "halving by accuracy": Arm(SuccessiveHalving, costs=False),
    "halving, net": Arm(partial(SuccessiveHalving, spread=epsilon_net)),
    "halving, net, every difference counts": Arm(partial(SuccessiveHalving, spread=epsilon_net), noise=False),
    "halving, crowding": Arm(partial(SuccessiveHalving, spread=crowding)),
}


def read_nasbench201(table: Path, scores: Path) -> Curves:
    """Return the curves of the cells that have scores: 12 of 200 epochs, cost FLOPs."""
    rows = {row["architecture"]: row for row in parquet.read_table(table).to_pylist()}
    scored = [row for row in parquet.read_table(scores).to_pylist() if row["architecture"] in rows]
    known = [rows[row["architecture"]] for row in scored]
    seconds = np.array([row["train_seconds_200_epochs"] or np.nan for row in known]) / 200
    cost = np.array([row["flops"] for row in known], dtype=np.float64)
    jacobian = np.array([np.nan if row["jacob_cov"] is None else row["jacob_cov"] for row in scored], dtype=np.float64)
    return Curves(
        "NAS-Bench-201",
        (12, 200),
        np.array([[row["validation_accuracy_12_epochs"] / 100] for row in known]),
        np.array([row["test_accuracy"] for row in known]),
        cost,
        np.where(np.isfinite(seconds), seconds, np.nanmedian(seconds)),
        25_000,
        28,
        ("stratified:jacob_cov", "front:jacob_cov,flops", "random"),
        {"jacob_cov": rankdata(-np.nan_to_num(jacobian, nan=-np.inf), method="min"), "flops": cost},
    )


def read_nasbench101(table: Path) -> Curves:
    """Return the curves of a sample of the networks: 4, 12 and 36 of 108 epochs, cost parameters."""
    rows = parquet.read_table(table).to_pydict()
    epochs = (4, 12, 36, 108)
    return Curves(
        "NAS-Bench-101",
        epochs,
        np.array([rows[f"validation_accuracy_{epoch}_epochs"] for epoch in epochs[:-1]]).T / 100,
        np.array(rows["test_accuracy"]),
        np.array(rows["params"], dtype=np.float64),
        np.array(rows["train_seconds_108_epochs"]) / 108,
        10_000,
        16,
        ("stratified", "random"),
    )


def select(curves: Curves, rule: str, generator: np.random.Generator) -> np.ndarray:
    """Return the indices of the networks that a rule selects for training."""
    kind, _, names = rule.partition(":")
    losses = [curves.scores[name] for name in names.split(",") if name]
    if kind == "front":
        picked = analysis.front_rule(np.array(losses, dtype=np.float64).T)
    elif kind == "stratified":
        picked = analysis.stratified_rule(losses[0] if losses else None, curves.cost)
    else:
        picked = analysis.random_rule(len(curves.cost))
    return picked(curves.networks, generator)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a training.

    Attributes:
        finished: Indices of the networks that were trained to the end.
        epochs: Epochs trained in all.
        seconds: Simulated time until the last run had ended.
    """

    finished: list[int]
    epochs: int
    seconds: float


def train(curves: Curves, order: np.ndarray, arm: Arm, workers: int) -> Outcome:
    """Train networks as the stage does: a free worker takes the first run that may train, in the given order.

    The scheduler gets rungs at grace_period * 3 ** k, as many as the table has; its last epoch stands for the last of
    the table, and epochs between rungs, which no scheduler looks at, are not reported.
    """
    rungs = len(curves.epochs) - 1
    told = [curves.epochs[0] * FACTOR**rung for rung in range(rungs + 1)]
    costs = {str(i): (float(curves.cost[i]),) for i in order} if arm.costs else {}
    images = curves.images if arm.noise else None
    scheduler = arm.make(TrainingBudget(tuple(map(str, order)), told[-1], told[0], FACTOR, costs, images))
    reached = dict.fromkeys(order.tolist(), 0)
    running: list[tuple[float, int, int]] = []
    ticket, now = itertools.count(), 0.0
    while True:
        for run in _ready(scheduler, reached, told, {run for *_, run in running})[: workers - len(running)]:
            stretch = float(np.diff([0, *curves.epochs])[reached[run]])
            heapq.heappush(running, (now + stretch * curves.seconds[run], next(ticket), run))
        if not running:
            break
        now, _, run = heapq.heappop(running)
        reached[run] += 1
        value = curves.validation[run, min(reached[run], rungs) - 1]
        scheduler.report(str(run), told[reached[run] - 1], float(value))
    epochs = sum((0, *curves.epochs)[stations] for stations in reached.values())
    return Outcome([run for run in reached if reached[run] > rungs], epochs, now)


def _ready(scheduler: Scheduler, reached: Mapping[int, int], told: Sequence[int], running: set[int]) -> list[int]:
    """Return the runs that may train: those that have begun first, then in order."""
    left = [run for run in reached if run not in running and reached[run] < len(told)]
    may = [run for run in left if scheduler.limit(str(run)) >= told[reached[run]]]
    return sorted(may, key=lambda run: -reached[run])


def measure(curves: Curves, rule: str, arm: Arm, workers: int, share: float, seed: int) -> dict[str, float]:
    """Select, train and judge once; the selection and the order of the runs are the same for all arms."""
    if share < 1:
        rows = numpy_generator(seed, "halving", "part").permutation(len(curves.cost))
        curves = curves.part(np.sort(rows[: round(share * len(rows))]))
    picked = select(curves, rule, numpy_generator(seed, "halving", "select", rule))
    order = numpy_generator(seed, "halving", "order").permutation(picked)
    outcome = train(curves, order, arm, workers)
    everything = train(curves, order, ARMS["all trained"], workers)
    lost = analysis.measure_regret(np.array(outcome.finished), curves.accuracy, curves.cost)
    front = picked[front_indices(np.column_stack([-curves.accuracy[picked], curves.cost[picked]]))]
    cheapest = picked[np.argsort(curves.cost[picked], kind="stable")[: max(1, len(picked) // 4)]]
    return {
        "mean": lost.mean,
        "largest": lost.worst,
        "epochs": outcome.epochs / everything.epochs,
        "seconds": outcome.seconds / everything.seconds,
        "front": float(np.isin(front, outcome.finished).mean()),
        "cheapest": float(np.isin(cheapest, outcome.finished).mean()),
    }


def rows(tables: Sequence[tuple[Curves, float]], workers: Sequence[int], seeds: int) -> Iterator[dict[str, Any]]:
    """Yield the figures of every arm: means over the seeds, the deviation of the mean regret, and the worst seed's."""
    for (curves, share), arm, count in itertools.product(tables, ARMS, workers):
        for rule in curves.selections:
            found = [measure(curves, rule, ARMS[arm], count, share, seed) for seed in range(seeds)]
            means = {name: round(float(np.mean([one[name] for one in found])), 4) for name in found[0]}
            spread = {
                "deviation": round(float(np.std([one["mean"] for one in found], ddof=1)), 4) if seeds > 1 else 0.0,
                "largest_of_all": round(max(one["largest"] for one in found), 4),
            }
            settings = {"networks": curves.networks, "share": share, "select": rule, "arm": arm, "workers": count}
            yield {"table": curves.name} | settings | means | spread


def shown(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as Markdown, a table for each selection: an arm in a line, a column for a number of workers."""
    parts = []
    for key, group in itertools.groupby(sorted(found, key=_block), key=_block):
        block = list(group)
        counts = sorted({row["workers"] for row in block})
        lines = [
            "| arm | " + " | ".join(f"{count} worker{'s' * (count > 1)}" for count in counts) + " |",
            "|---" * (1 + len(counts)) + "|",
        ]
        for arm in ARMS:
            cells = [_cell(row) for count in counts for row in block if (row["arm"], row["workers"]) == (arm, count)]
            lines.append(f"| {arm} | " + " | ".join(cells) + " |")
        table, share, select, networks = key
        parts.append("\n".join([f"{table}, {share:.0%} of the networks, {networks} by {select}", "", *lines]))
    return "\n\n".join(parts)


def _block(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["table"], row["share"], row["select"], row["networks"]


def _cell(row: Mapping[str, Any]) -> str:
    lost = f"{row['mean']:.2f} ± {row['deviation']:.2f} / {row['largest']:.1f}"
    return f"{lost}, {row['epochs']:.0%} of epochs, front {row['front']:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nasbench201", type=Path, help="table of accuracies and FLOPs by architecture")
    parser.add_argument("--nasbench101", type=Path, help="table of learning curves and parameters")
    parser.add_argument("--scores", type=Path, default=Path(__file__).with_name("nasbench201_scores.parquet"))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    tables: list[tuple[Curves, float]] = []
    if options.nasbench201:
        cells = read_nasbench201(options.nasbench201, options.scores)
        tables += [(cells, 1.0), (cells, 0.5)]
    if options.nasbench101:
        tables.append((read_nasbench101(options.nasbench101), 1.0))
    if not tables:
        parser.error("name at least one table: --nasbench201 PATH or --nasbench101 PATH")
    found = list(rows(tables, options.workers, options.seeds))
    options.out.write_text("[\n" + ",\n".join(json.dumps(row) for row in found) + "\n]\n", encoding="utf-8")
    print(shown(found))


if __name__ == "__main__":
    main()
