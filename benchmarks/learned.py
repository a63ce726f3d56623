"""Measure what a model that learns from the trained networks is worth, on recorded accuracies.

Regret is that of `zenfront regret`: at each cost level, the best accuracy at most at that cost, minus the best of the
networks that were trained to the end. All rules choose from the same random parts of a table. In the rows with halving,
each round is trained under successive halving by accuracy and cost, and the budget counts the epochs of all runs: those
of 28 whole trainings, say.

    python benchmarks/learned.py --nasbench201 nasbench201_cifar10.parquet --naslib nasbench201_naslib_proxies.parquet \
        --nasbench101 nasbench101_sample.parquet
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet

from zenfront import spaces
from zenfront.pipeline.analysis.learned import (
    Candidates,
    Encoder,
    Observations,
    Population,
    choose,
    first_part,
    fit,
    learned_rule,
)
from zenfront.pipeline.analysis.regret import Rule, measure_on_subsets, stratified_rule
from zenfront.pipeline.schedulers import TrainingBudget
from zenfront.pipeline.schedulers.successive_halving import SuccessiveHalving
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.structure import Describer
from zenfront.spaces import Architecture, Task

TASK = Task(3, 32, 32, 10)
BUDGETS = (10, 28, 56, 112)
ROUNDS = 6
FACTOR = 3
MINIMISED = {"ntk"}
COSTS = {"flops", "params", "depth", "activations", "live_params", "peak_memory"}


@dataclass(frozen=True, eq=False)
class Table:
    """A table of n trained networks.

    Attributes:
        name: Name of the table.
        population: Scores, costs and structure, known before the training.
        accuracy: (n,), after the whole training, in percent.
        rungs: (n,) accuracies in percent by the epochs after which they were measured.
        epochs: Epochs of the whole training.
        images: Number of validation images.
        share: Share of the networks in a random part.
        rules: Scores by the name of a rule that learns; None: all.
        halved: Names of the rules that are also measured with halving.
        references: Scores of the stratified rules to compare with.
    """

    name: str
    population: Population
    accuracy: np.ndarray
    rungs: Mapping[int, np.ndarray]
    epochs: int
    images: int
    share: float
    rules: Mapping[str, Sequence[str] | None]
    halved: Sequence[str] = ()
    references: Sequence[str] = field(default_factory=list)


def described(space: str, architectures: Sequence[Architecture]) -> dict[str, np.ndarray]:
    return Describer(spaces.load(space), TASK).describe(architectures)


def numbers(rows: Sequence[Mapping[str, Any]], column: str) -> np.ndarray:
    return np.array([np.nan if row[column] is None else row[column] for row in rows], dtype=np.float64)


def nasbench201(table: Path, scores: Path, name: str, references: Sequence[str]) -> Iterator[Table]:
    """Yield the cells of a table of scores, and the same with all signs turned."""
    known = {row["architecture"]: row for row in parquet.read_table(table).to_pylist()}
    scored = [row for row in parquet.read_table(scores).to_pylist() if row["architecture"] in known]
    rows, space = [known[row["architecture"]] for row in scored], spaces.load("nasbench201")
    structure = described("nasbench201", [space.architecture(space.parse(row["architecture"])) for row in rows])
    left_out = {"id", "architecture", "__index_level_0__", "flops_naslib_millions", "params_millions"}
    values = {column: numbers(scored, column) for column in scored[0] if column not in left_out}
    common = {
        "accuracy": numbers(rows, "test_accuracy"),
        "rungs": {12: numbers(rows, "validation_accuracy_12_epochs")},
        "epochs": 200,
        "images": 25_000,
        "share": 0.5,
    }
    learned = f"learned:{','.join(references)}"
    oriented = {column: -each if column in MINIMISED else each for column, each in values.items()}
    everything = Population(oriented, numbers(rows, "flops"), structure, references)
    rules = {"learned": None, learned: references, "learned:zen,snip": ["zen", "snip"], "learned from structure": []}
    yield Table(name, everything, rules=rules, halved=["learned", learned], references=references, **common)
    turned = Population({column: -each for column, each in oriented.items()}, everything.cost, structure, references)
    yield Table(f"{name}, all signs turned", turned, rules={"learned": None}, **common)


def nasbench101(table: Path) -> Table:
    rows = parquet.read_table(table).to_pylist()
    space = spaces.load("nasbench101")
    texts = (f'{{"matrix": {row["adjacency"]}, "ops": {row["operations"]}}}' for row in rows)
    architectures = [space.architecture(space.parse(text)) for text in texts]
    columns = {epoch: numbers(rows, f"validation_accuracy_{epoch}_epochs") for epoch in (4, 12, 36)}
    everything = Population({}, numbers(rows, "params"), described("nasbench101", architectures))
    accuracy = numbers(rows, "test_accuracy")
    rules, name = {"learned from structure": []}, "NAS-Bench-101"
    return Table(name, everything, accuracy, columns, 108, 10_000, 0.25, rules, list(rules))


def encoded(everything: Population, names: Sequence[str] | None, subset: np.ndarray) -> Candidates:
    """Return a part of a table with some of its scores; None: all."""
    kept = {name: values for name, values in everything.scores.items() if names is None or name in names}
    objectives = [name for name in everything.objectives if name in kept] or [
        name for name in kept if name not in COSTS
    ]
    part = Population(kept, everything.cost, everything.structure, objectives).select(subset)
    return Encoder.of(part).encode(part)


def halved_rule(candidates: Candidates, table: Table, subset: np.ndarray) -> Rule:
    """Return the rule that trains each round under successive halving; it returns the networks that ended."""
    accuracy, rungs = table.accuracy[subset], {epoch: values[subset] for epoch, values in table.rungs.items()}
    stations = [*rungs, table.epochs]
    steps = np.diff([0, *stations])
    each = float(sum(step / FACTOR**rung for rung, step in enumerate(steps)))

    def rule(count: int, generator: np.random.Generator) -> np.ndarray:
        left, taken, ended = float(count * table.epochs), np.empty(0, dtype=int), list[int]()
        seen: list[tuple[int, float, float]] = []
        for number in range(ROUNDS):
            size = max(3, round(left / (ROUNDS - number) / each))
            picked = next_round(candidates, seen, size, taken, generator)
            reports, finished, spent = halve(picked, rungs, candidates.cost, table)
            while spent > left and len(picked) > 1:
                picked = picked[:-1]
                reports, finished, spent = halve(picked, rungs, candidates.cost, table)
            if spent > left:
                break
            left, taken, ended = left - spent, np.append(taken, picked), [*ended, *finished]
            seen += reports + [(run, accuracy[run], 1.0) for run in finished]
        return np.array(ended)

    return rule


def next_round(
    candidates: Candidates, seen: Sequence[tuple[int, float, float]], size: int, taken: np.ndarray, rng: Any
) -> np.ndarray:
    if not seen:
        return first_part(candidates, size, rng)
    index, accuracy, fidelity = (np.array(column) for column in zip(*seen, strict=True))
    model = fit(candidates, Observations(index, accuracy, fidelity))
    return choose(model, candidates, size, taken).picked


def halve(
    picked: np.ndarray, rungs: Mapping[int, np.ndarray], cost: np.ndarray, table: Table
) -> tuple[list[tuple[int, float, float]], list[int], float]:
    """Return the accuracies at the rungs, the networks that go on to the end, and the epochs of all."""
    told = [min(rungs) * FACTOR**rung for rung in range(len(rungs) + 1)]  # the scheduler has its own epochs
    costs = {str(run): (float(cost[run]),) for run in picked}
    budget = TrainingBudget(tuple(costs), told[-1], told[0], FACTOR, costs, table.images)
    scheduler, alive, reports, spent, before = SuccessiveHalving(budget), picked.tolist(), [], 0.0, 0
    for (epoch, values), rung in zip(rungs.items(), told, strict=False):
        spent, before = spent + len(alive) * (epoch - before), epoch
        for run in alive:
            scheduler.report(str(run), rung, float(values[run]) / 100)
        reports += [(run, float(values[run]), epoch / table.epochs) for run in alive]
        alive = [run for run in alive if str(run) not in scheduler.stopped]
    return reports, alive, spent + len(alive) * (table.epochs - before)


def rows(table: Table, seeds: int) -> Iterator[dict[str, Any]]:
    """Yield the regret of every rule at every budget: mean and standard deviation over the seeds."""
    everything, cost = table.population, table.population.cost

    def stratified(name: str | None) -> Any:
        losses = None if name is None else np.nan_to_num(-everything.scores[name], nan=np.inf)
        return lambda subset: stratified_rule(None if losses is None else losses[subset], cost[subset])

    makers = {"stratified": stratified(None)}
    makers |= {f"stratified:{name}": stratified(name) for name in table.references}
    for rule, names in table.rules.items():
        makers[rule] = lambda subset, names=names: learned_rule(
            encoded(everything, names, subset), table.accuracy[subset]
        )
        makers[f"{rule}, halving"] = lambda subset, names=names: halved_rule(
            encoded(everything, names, subset), table, subset
        )
    for rule, make in makers.items():
        for budget in BUDGETS[1:] if "halving" in rule else BUDGETS:
            generators = [numpy_generator(seed, "learned", table.name) for seed in range(seeds)]
            found = measure_on_subsets(make, table.accuracy, cost, budget, generators, table.share)
            means = [regret.mean for regret in found]
            figures = {"mean": round(float(np.mean(means)), 4), "deviation": round(float(np.std(means, ddof=1)), 4)}
            place = {"table": table.name, "n": len(cost), "rule": rule, "budget": budget, "seeds": seeds}
            yield place | figures | {"worst": round(float(np.mean([regret.worst for regret in found])), 3)}


def timed(n: int = 50_000, trained: int = 112, count: int = 28) -> dict[str, Any]:
    """Return the seconds and the peak memory of one fit and one choice, of random candidates."""
    rng = numpy_generator(0, "learned", "timed")
    scores = {f"score {i}": rng.normal(size=n) for i in range(13)}
    structure = {"genes": rng.integers(0, 2, (n, 30)).astype(float), "graph": rng.normal(size=(n, 22))}
    everything = Population(scores, rng.uniform(1, 100, n), structure, list(scores)[:2])
    start = time.process_time()
    candidates, known = encoded(everything, None, np.arange(n)), rng.permutation(n)[:trained]
    middle = time.process_time()
    model = fit(candidates, Observations.complete(known, rng.uniform(80, 95, trained)))
    choose(model, candidates, count, known)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds = {"encode": round(middle - start, 2), "fit and choose": round(time.process_time() - middle, 2)}
    return {"candidates": n, "trained": trained, "chosen": count, "processor seconds": seconds, "GiB": round(peak, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nasbench201", type=Path, help="table of accuracies and FLOPs by architecture")
    parser.add_argument("--naslib", type=Path, help="table of NASLib's proxies by architecture")
    parser.add_argument("--nasbench101", type=Path, help="table of learning curves and parameters")
    parser.add_argument("--scores", type=Path, default=Path(__file__).with_name("nasbench201_scores.parquet"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    document: dict[str, Any] = {"time": timed(), "regret": []}
    print(document["time"])
    for table in tables(options):
        for row in rows(table, options.seeds):
            document["regret"].append(row)
            print(*row.values(), sep="  ", flush=True)
            lines = ",\n  ".join(json.dumps(each) for each in document["regret"])
            text = f'{{"time": {json.dumps(document["time"])},\n "regret": [\n  {lines}\n ]}}\n'
            options.out.write_text(text, encoding="utf-8")


def tables(options: argparse.Namespace) -> Iterator[Table]:
    if options.nasbench201:
        yield from nasbench201(
            options.nasbench201, options.scores, "NAS-Bench-201, 1,006 classes", ["jacob_cov", "naswot"]
        )
    if options.nasbench201 and options.naslib:
        yield from nasbench201(
            options.nasbench201, options.naslib, "NAS-Bench-201, NASLib's proxies", ["jacov", "nwot"]
        )
    if options.nasbench101:
        yield nasbench101(options.nasbench101)


if __name__ == "__main__":
    main()
