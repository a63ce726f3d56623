"""Recorded trainings as a table from which networks are chosen, trained in simulation, and judged."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from halving import ARMS as SCHEDULERS
from halving import FACTOR, Curves, read_nasbench101
from pyarrow import parquet

from zenfront.pipeline.analysis.accuracy_cost_box import box_around, hypervolume_in
from zenfront.pipeline.analysis.regret import measure_regret
from zenfront.pipeline.schedulers import TrainingBudget
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Space
from zenfront.spaces import load as load_space

UNITS = ("epochs", "seconds")
SECONDS_PER_SCORE = 0.15
"""Processor seconds of a score of a cell, batch of 32: jacob_cov 0.15, naswot 0.08, zen 0.06, snip 0.14 (one core)."""


@dataclass(frozen=True, eq=False)
class Table:
    """Networks with their learning curves, genes and scores.

    Attributes:
        curves: Learning curves; its scores are losses.
        space: Space of the architectures.
        levels: (n, genes), level of each gene.
        share: Share of the networks that an arm may choose from; each seed draws another part.
    """

    curves: Curves
    space: Space
    levels: np.ndarray
    share: float = 0.5

    def part(self, seed: int) -> "Table":
        """Return a random part of the networks, in random order."""
        count = len(self.levels)
        rows = numpy_generator(seed, "value", "part").permutation(count)[: round(self.share * count)]
        return replace(self, curves=self.curves.part(rows), levels=self.levels[rows])

    @property
    def full(self) -> Mapping[str, float]:
        """Cost of the whole training of a network, by unit: that of the mean network."""
        epochs = self.curves.epochs[-1]
        return {"epochs": epochs, "seconds": epochs * float(self.curves.seconds.mean())}


def read_cells(table: Path, proxies: Path) -> Table:
    """Return the cells of NAS-Bench-201 that NASLib's proxies know, halves of which the arms choose from."""
    known = {row["architecture"]: row for row in parquet.read_table(table).to_pylist()}
    scored = [row for row in parquet.read_table(proxies).to_pylist() if row["architecture"] in known]
    rows = [known[row["architecture"]] for row in scored]
    seconds = np.array([row["train_seconds_200_epochs"] or np.nan for row in rows]) / 200
    names = [name for name, value in scored[0].items() if isinstance(value, float)]
    curves = Curves(
        "NAS-Bench-201",
        (12, 200),
        np.array([[row["validation_accuracy_12_epochs"] / 100] for row in rows]),
        np.array([row["test_accuracy"] for row in rows]),
        np.array([row["flops"] for row in rows], dtype=np.float64),
        np.where(np.isfinite(seconds), seconds, np.nanmedian(seconds)),
        25_000,
        0,
        (),
        {name: -np.array([row[name] for row in scored], dtype=np.float64) for name in names},
    )
    space = load_space("nasbench201")
    return Table(curves, space, _levels(space, [row["architecture"] for row in scored]))


def read_graphs(table: Path) -> Table:
    """Return a sample of NAS-Bench-101, halves of which the arms choose from; it has no scores.

    The first rung is at 12 of 108 epochs: what the table knows of 4 epochs is left out.
    """
    rows, space = parquet.read_table(table).to_pydict(), load_space("nasbench101")
    texts = [
        json.dumps({"matrix": json.loads(matrix), "ops": json.loads(operations)})
        for matrix, operations in zip(rows["adjacency"], rows["operations"], strict=True)
    ]
    every = read_nasbench101(table)
    curves = replace(every, epochs=every.epochs[1:], validation=every.validation[:, 1:])
    return Table(curves, space, _levels(space, texts))


def _levels(space: Space, notations: Sequence[str]) -> np.ndarray:
    return np.array([space.encode(space.architecture(space.parse(text))) for text in notations])


class Trainings:
    """Simulated trainings, one after the other, until a budget is spent.

    Args:
        table: The table.
        scheduler: Name of a scheduler of `benchmarks/halving.py`.
        unit: Unit of the budget.
        budget: Number of full trainings.
    """

    def __init__(self, table: Table, scheduler: str, unit: str, budget: float) -> None:
        curves, arm = table.curves, SCHEDULERS[scheduler]
        self.table, self.unit, self.amount = table, unit, budget * table.full[unit]
        self.told = [curves.epochs[0] * FACTOR**rung for rung in range(len(curves.epochs))]
        names = [str(row) for row in range(len(curves.cost))]
        costs = {name: (float(cost),) for name, cost in zip(names, curves.cost, strict=True)} if arm.costs else {}
        images = curves.images if arm.noise else None
        self.scheduler = arm.make(TrainingBudget(tuple(names), self.told[-1], self.told[0], FACTOR, costs, images))
        self.spent = 0.0
        self.reached: dict[int, int] = {}
        self.finished: list[tuple[float, int]] = []

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        return self.spent >= self.amount

    def charge(self, scores: int) -> None:
        """Count the scoring of all networks by a number of scores; a second of a core counts as one of training."""
        seconds = scores * SECONDS_PER_SCORE * len(self.table.levels)
        self.spent += seconds if self.unit == "seconds" else seconds / float(self.table.curves.seconds.mean())

    def train(self, row: int) -> float:
        """Train a network until the scheduler stops it; return its last accuracy in [0, 1]."""
        curves = self.table.curves
        price = float(curves.seconds[row]) if self.unit == "seconds" else 1.0
        for rung, epochs in enumerate(np.diff([0, *curves.epochs])):
            if self.scheduler.limit(str(row)) < self.told[rung]:
                break
            self.spent += price * float(epochs)
            self.reached[row] = rung + 1
            value = self.accuracies(row)[-1]
            self.scheduler.report(str(row), self.told[rung], value)
        else:
            self.finished.append((self.spent, row))
        return self.accuracies(row)[-1]

    def accuracies(self, row: int) -> list[float]:
        """Return the recorded accuracies of a trained network in [0, 1]; that after the last epoch is of the test."""
        curves = self.table.curves
        every = [*curves.validation[row].tolist(), float(curves.accuracy[row]) / 100]
        return every[: self.reached[row]]

    def within(self, budget: float) -> np.ndarray:
        """Return the networks that were trained to the end for a number of full trainings."""
        limit = budget * self.table.full[self.unit] * (1 + 1e-9)
        return np.array([row for spent, row in self.finished if spent <= limit], dtype=int)


@dataclass
class Found:
    """Results of an arm with each seed, at one budget."""

    regret: list[float] = field(default_factory=list)
    hypervolume: list[float] = field(default_factory=list)
    trained: list[int] = field(default_factory=list)

    def add(self, part: Table, rows: np.ndarray) -> None:
        """Judge the networks that were trained to the end."""
        curves = part.curves
        self.regret.append(measure_regret(rows, curves.accuracy, curves.cost).mean)
        box = box_around(curves.cost[:, None], 0.1)
        self.hypervolume.append(hypervolume_in(box, curves.accuracy[rows] / 100, curves.cost[rows, None]))
        self.trained.append(len(rows))

    def row(self) -> dict[str, Any]:
        """Return mean, deviation and all values."""
        values: dict[str, Sequence[float]] = {
            "regret": self.regret,
            "hypervolume": self.hypervolume,
            "trained": self.trained,
        }
        found: dict[str, Any] = {"seeds": len(self.regret)}
        for name, measured in values.items():
            found[name] = round(float(np.mean(measured)), 4)
            found[f"{name}_sd"] = round(float(np.std(measured, ddof=1)), 4) if len(measured) > 1 else 0.0
        return found | {"regrets": [round(value, 4) for value in self.regret]}
