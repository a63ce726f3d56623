"""Arms of the study of the worth on tables: what each trains for a budget, and what that gives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from _value_tables import Found, Table, Trainings

from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import Problem
from zenfront.pipeline.analysis.conditions import categories, properties
from zenfront.pipeline.analysis.learned import Candidates, Encoder, Observations, Population, choose, fit
from zenfront.pipeline.analysis.learned.rule import first_part
from zenfront.pipeline.analysis.regret import random_rule, stratified_rule
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.pareto import front_indices
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.select import stratified, with_extremes
from zenfront.pipeline.structure.genes import gene_row
from zenfront.spaces import Architecture

BUDGETS = (10, 28, 56, 112)
ALL, BY_ACCURACY, BY_BOTH = "all trained", "ASHA by accuracy", "ASHA, net"
POPULATION = 16
ROUNDS, FIRST = 6, 2.5
"""Number of rounds; networks that the first one takes for the price of one full training, under early stopping."""
CELLS, BAD, COSTS = ("jacov", "nwot"), ("zen", "snip"), ("flops_naslib_millions", "params_millions")
THIRTEEN = (
    *("epe_nas", "fisher", "flops_naslib_millions", "grad_norm", "grasp", "jacov", "l2_norm", "nwot"),
    *("params_millions", "plain", "snip", "synflow", "zen"),
)
"""NASLib's proxies; those of cells.yaml, two that are badly chosen, and those that are costs."""
ACCURACY = Objective("accuracy", "maximise")


Choose = Callable[[Table, Trainings, int], None]
"""Spends the budget of trainings on a table with a seed."""


@dataclass(frozen=True)
class Arm:
    """A way to spend a budget.

    Attributes:
        choose: Chooses what is trained.
        scheduler: Name of the scheduler.
        nested: Whether a smaller budget is spent as the first part of a larger one.
        needs: Scores that it takes.
    """

    choose: Choose
    scheduler: str = ALL
    nested: bool = True
    needs: Sequence[str] = ()


def at_random(table: Table, trainings: Trainings, seed: int) -> None:
    """Train networks in random order."""
    count = len(table.levels)
    _train_all(trainings, random_rule(count)(count, numpy_generator(seed, "value", "random")))


def _train_all(trainings: Trainings, rows: np.ndarray) -> None:
    for row in rows:
        if trainings.over:
            return
        trainings.train(int(row))


def stratified_by(table: Table, trainings: Trainings, seed: int, name: str = "") -> None:
    """Train the best of each cost level by a score, or a random network of each."""
    loss, cost = table.curves.scores.get(name), table.curves.cost
    if name:
        trainings.charge(1)
    generator = numpy_generator(seed, "value", "stratified")
    left = (trainings.amount - trainings.spent) / table.full[trainings.unit]
    rows = stratified_rule(loss, cost)(max(1, int(left + 1e-9)), generator)
    _train_all(trainings, generator.permutation(rows))


def guided(table: Table, trainings: Trainings, seed: int, algorithm: str, *, costs: bool, size: int) -> None:
    """Train what an algorithm proposes; a proposal stands for the nearest network of the table not trained yet."""
    objectives = [ACCURACY, *([Objective("cost", "minimise")] if costs else [])]
    search = algorithms.load(algorithm).make(Problem(table.space, objectives, (), POPULATION, seed))
    while not trainings.over:
        told = []
        for architecture in search.ask(size):
            row = nearest(table, architecture, trainings.reached)
            values = {"accuracy": trainings.train(row), "cost": float(table.curves.cost[row])}
            told.append(Scores(architecture, values, None, 0))
        search.tell(told)


def nearest(table: Table, architecture: Architecture, trained: Mapping[int, int]) -> int:
    """Return the network of the table that differs in the fewest genes and is not trained yet."""
    distance = (table.levels != np.array(table.space.encode(architecture))).sum(1)
    distance[list(trained)] = table.levels.shape[1] + 1
    return int(distance.argmin())


def cells_yaml(table: Table, trainings: Trainings, seed: int) -> None:
    """Select from the front of all scores as `tune_configs/cells.yaml` does, as many as the budget trains."""
    scores, cost = table.curves.scores, table.curves.cost
    losses = np.column_stack([scores["jacov"], scores["nwot"], cost])
    members = front_indices(losses)
    front = losses[members]
    trainings.charge(2)
    low, high = 1, len(members)
    while low < high:
        count = (low + high + 1) // 2
        if _price(table, trainings, members[_select(front, count)], seed) <= trainings.amount - trainings.spent:
            low = count
        else:
            high = count - 1
    _train_all(trainings, _order(members[_select(front, low)], seed))


def _select(front: np.ndarray, count: int) -> list[int]:
    order = stratified(front[:, 2], front[:, :2], count)
    order += sorted(set(range(len(front))) - set(order))
    return with_extremes(order, front[:, 2:], count)


def _order(rows: np.ndarray, seed: int) -> np.ndarray:
    return numpy_generator(seed, "value", "order").permutation(rows)


def _price(table: Table, trainings: Trainings, rows: np.ndarray, seed: int) -> float:
    """Return what the training of all these networks takes in the unit of the budget."""
    trial = Trainings(table, BY_BOTH, trainings.unit, np.inf)
    _train_all(trial, _order(rows, seed))
    return trial.spent


def in_rounds(table: Table, trainings: Trainings, seed: int, names: Sequence[str] = ()) -> None:
    """Train in rounds: a first part without a model, then what the model chooses, which learns after every round.

    A round takes an equal share of the budget, at the mean price of a network so far.
    """
    trainings.charge(len(names))
    candidates, whole = _encode(table, names), table.full[trainings.unit]
    size = max(3, round((trainings.amount - trainings.spent) / whole * FIRST / ROUNDS))
    first = first_part(candidates, size, numpy_generator(seed, "value", "rounds"))
    _train_all(trainings, _order(first, seed))
    for left in reversed(range(1, ROUNDS)):
        price = trainings.spent / len(trainings.reached)
        size = max(1, round((trainings.amount - trainings.spent) / left / price))
        known = fit(candidates, _observed(trainings))
        chosen = choose(known, candidates, size, np.array(list(trainings.reached))).picked
        _train_all(trainings, _order(chosen, seed))


def _encode(table: Table, names: Sequence[str]) -> Candidates:
    scores = {name: -table.curves.scores[name] for name in names}
    architectures = [table.space.literal(levels) for levels in table.levels]
    genes = np.array([gene_row(table.space, architecture) for architecture in architectures])
    kinds = categories(table.space)
    counts = [[float(properties(table.space, each)[kind]) for kind in kinds] for each in architectures]
    objectives = [name for name in names if name not in COSTS]
    population = Population(scores, table.curves.cost, {"genes": genes, "counts": np.array(counts)}, objectives)
    return Encoder.of(population).encode(population)


def _observed(trainings: Trainings) -> Observations:
    """Return all accuracies so far, those of networks that were stopped as well."""
    epochs = np.array(trainings.table.curves.epochs)
    rows = [(row, *pair) for row in trainings.reached for pair in zip(trainings.accuracies(row), epochs, strict=False)]
    index, accuracy, at = np.array(rows).T
    return Observations(index.astype(int), accuracy, at / max(at))


ARMS: dict[str, Arm] = {
    "random, ASHA": Arm(at_random, BY_ACCURACY),
    "random, ASHA by accuracy and cost": Arm(at_random, BY_BOTH),
    "stratified random, all trained": Arm(stratified_by, nested=False),
    "regularised evolution": Arm(partial(guided, algorithm="regularized_evolution", costs=False, size=POPULATION)),
    "Optuna NSGA-II": Arm(partial(guided, algorithm="optuna_nsga2", costs=True, size=POPULATION)),
    "Optuna TPE": Arm(partial(guided, algorithm="optuna_tpe", costs=True, size=1)),
    "Optuna NSGA-II, pruned": Arm(partial(guided, algorithm="optuna_nsga2", costs=True, size=POPULATION), BY_ACCURACY),
    "Optuna TPE, pruned": Arm(partial(guided, algorithm="optuna_tpe", costs=True, size=1), BY_ACCURACY),
    "Zen per cost level": Arm(partial(stratified_by, name="zen"), nested=False, needs=("zen",)),
    "Zenfront, cells.yaml, one round": Arm(cells_yaml, BY_BOTH, nested=False, needs=("jacov", "nwot")),
    "Zenfront, rounds": Arm(partial(in_rounds, names=CELLS), BY_BOTH, nested=False, needs=CELLS),
    "Zenfront, rounds, thirteen scores": Arm(partial(in_rounds, names=THIRTEEN), BY_BOTH, nested=False, needs=THIRTEEN),
    "Zenfront, rounds, zen and snip": Arm(partial(in_rounds, names=BAD), BY_BOTH, nested=False, needs=BAD),
    "Zenfront, rounds, no scores": Arm(in_rounds, BY_BOTH, nested=False),
}


def measure(table: Table, name: str, unit: str, seeds: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each budget."""
    arm, found = ARMS[name], {budget: Found() for budget in BUDGETS}
    for seed in range(seeds):
        part = table.part(seed)
        trainings = None
        for budget in sorted(BUDGETS, reverse=True):
            if trainings is None or not arm.nested:
                trainings = Trainings(part, arm.scheduler, unit, budget)
                arm.choose(part, trainings, seed)
            found[budget].add(part, trainings.within(budget))
    for budget, outcome in found.items():
        yield {"table": table.curves.name, "unit": unit, "arm": name, "budget": budget} | outcome.row()
