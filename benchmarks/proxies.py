"""Compare the proxies with a straightforward implementation in speed, and with the exact values in rank.

The networks are those of the three-stage bottleneck space at 32 x 32: a random sample, and the 64 best of a finished
search (zen, ntk and flops; NSGA-II; within `CONSTRAINTS`). For every network, each proxy is computed in three ways, one
after the other in one process. The construction of the network is included in the time.

* straightforward: what the published code does, that is, the reference mode of zen (64 images), ntk and zico, and
  `_straightforward.py` for the others. zero-cost-nas builds a second network for every measure; the ratio without this
  copy is reported, too;
* ours: the default mode;
* exact: zen's paper mode in float64 with 64 images; ntk row by row (the straightforward run itself: float32 rows,
  float64 Gram matrix and eigenvalues, which agrees with float64 rows to 1e-6); the others in float64.

Times are processor seconds with one thread. Every comparison is recorded beside the results (`.rows`): the same command
continues after an interruption, or after the end set by `--seconds`. Delete the record when the code changes.

    just bench proxies                  # the whole table; an hour and a quarter on one core
    just bench proxies --networks 8 --evaluations 0 --out /tmp/proxies.json
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _comparison import SPACE, TASK, Row, compare, measure_time, score
from pymoo.algorithms.moo.nsga2 import RankAndCrowding
from pymoo.core.population import Population
from pymoo.core.problem import Problem as PymooProblem
from scipy.stats import kendalltau, spearmanr

from zenfront.pipeline import algorithms, proxies
from zenfront.pipeline.algorithms import Problem
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.objectives import Constraint, Objective, losses, violations
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.stages.search.loop import generations
from zenfront.pipeline.training import data as training_data
from zenfront.spaces import Architecture, Network, Task

BATCH = 32
BEST = 64
OBJECTIVES = (Objective("zen", "maximise"), Objective("ntk", "minimise"), Objective("flops", "minimise"))
CONSTRAINTS = (
    Constraint("params", at_most=1e6),
    Constraint("depth", at_most=56),
    Constraint("flops", at_most=6e7),
    Constraint("activations", at_most=1e6),
)
TIMED = ["zen", "ntk", "zico", "snip", "synflow", "grad_norm", "fisher", "naswot"]
COSTS = ["flops", "params", "activations", "depth"]
TARGETS = {"zen": (6, 0.995), "ntk": (15, 0.95)} | dict.fromkeys(TIMED[2:], (1.5, 0.999))
ELITE_TARGETS = {"zen": 0.9, "ntk": 0.8}
ELITE = list(ELITE_TARGETS)


def real_batch(source: str) -> Batch:
    """Return normalised images of a data source; digits are enlarged to 32 x 32 pixels and three channels."""
    if source != "digits":
        return Batch(*training_data.proxy_batch(training_data.load(Data(source=source), TASK, 0), BATCH, 0))
    images = training_data.load(Data(source="digits"), Task(1, 8, 8, 10), 0)
    small, labels = training_data.proxy_batch(images, BATCH, 0)
    return Batch(torch.nn.functional.interpolate(small, size=(32, 32), mode="bilinear").expand(-1, 3, -1, -1), labels)


def random_sample(count: int) -> list[Architecture]:
    """Draw architectures uniformly over the levels of every gene."""
    rng = numpy_generator(0, "benchmark of proxies")
    return [SPACE.sample(rng) for _ in range(count)]


def cost(name: str, network: Network) -> float:
    empty = Batch(torch.empty(1, 3, 32, 32, device="meta"), torch.empty(1, device="meta"))
    return proxies.load(name).score(network, empty, torch_generator(0, "cost"))


class Record:
    """Record of computed values by key; nothing new is computed after the deadline."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._ledger = Ledger(path)
        self._found = {tuple(row["key"]): row["value"] for row in self._ledger.rows}
        self._deadline = time.monotonic() + seconds

    def get(self, *key: str | int, work: Callable[[], Any]) -> Any:
        """Return the recorded value, or compute and record it; raise `TimeoutError` after the deadline."""
        if key not in self._found:
            if time.monotonic() > self._deadline:
                raise TimeoutError
            self._found[key] = work()
            self._ledger.append([{"key": list(key), "value": self._found[key]}])
            print(*key, file=sys.stderr, flush=True)
        return self._found[key]

    def rows(self, kind: str, name: str) -> list[Row]:
        return [value for key, value in self._found.items() if key[:2] == (kind, name)]


def best_of_a_search(evaluations: int, batch: Batch, record: Record) -> list[Architecture]:
    """Search, and return the 64 best architectures by rank and crowding distance."""
    names = list(dict.fromkeys([o.score for o in OBJECTIVES] + [c.score for c in CONSTRAINTS]))
    scoring = Scoring(SPACE, TASK, names, batch, seed=0, constraints=CONSTRAINTS)
    algorithm = algorithms.load("nsga2").make(Problem(SPACE, OBJECTIVES, CONSTRAINTS, population=64, seed=0))

    def score(architecture: Architecture) -> Scores:
        row = record.get("search", architecture.id, work=lambda: scoring.score(architecture).to_row())
        return Scores.from_row(row)

    search = generations(algorithm, score, population=64, evaluations=evaluations)
    told = [scores for generation in search for scores in generation]
    feasible = [s for s, v in zip(told, violations(told, CONSTRAINTS), strict=True) if v <= 0]
    loss = losses(feasible, OBJECTIVES)
    population = Population.new("F", loss, "index", np.arange(len(loss)))
    survivors = RankAndCrowding().do(
        PymooProblem(n_obj=loss.shape[1]), population, n_survive=BEST, random_state=numpy_generator(0, "survivors")
    )
    return [feasible[i].architecture for i in survivors.get("index")]


def measure(names: list[str], sample: list[Architecture], batch: Batch, kind: str, record: Record) -> None:
    for architecture in sample:
        for name in names:
            record.get(kind, name, architecture.id, work=lambda n=name, a=architecture: compare(n, a, batch))


def column(found: list[Row], key: str) -> np.ndarray:
    return np.array([row[key] for row in found])


def spread(values: np.ndarray) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(middle), "q1": float(low), "q3": float(high)}


def agreement(found: list[Row]) -> dict[str, float]:
    values, true = column(found, "value"), column(found, "exact")
    return {
        "spearman": float(spearmanr(values, true).statistic),
        "tau": float(kendalltau(values, true).statistic),
    }


def summary(found: list[Row]) -> dict[str, Any]:
    plain, own = column(found, "straightforward_seconds"), column(found, "seconds")
    ratio = plain / own
    copies = (
        {"ratio_without_copy": spread((plain - column(found, "copy_seconds")) / own)}
        if "copy_seconds" in found[0]
        else {}
    )
    return (
        copies
        | {
            "n": len(found),
            "ratio": spread(ratio),
            "milliseconds": spread(1e3 * column(found, "seconds")),
            "straightforward_milliseconds": spread(1e3 * column(found, "straightforward_seconds")),
        }
        | agreement(found)
    )


def reseed(names: list[str], sample: list[Architecture], batch: Batch, seeds: int, record: Record) -> None:
    for a in sample:
        for n in names:
            record.get("seeds", n, a.id, work=lambda n=n, a=a: [score(n, a, batch, seed=seed) for seed in range(seeds)])


def standard_error(name: str, found: list[Any]) -> dict[str, float]:
    """Return the standard error of one score over fresh weights and the spread over networks; relative for ntk."""
    values = np.log(found) if name == "ntk" else np.array(found)
    return {
        "networks": len(values),
        "seeds": values.shape[1],
        "error_of_one_score": float(np.sqrt(values.var(1, ddof=1).mean())),
        "spread_over_networks": float(values.mean(1).std(ddof=1)),
    }


def costs_of_50_layers() -> dict[str, Any]:
    genes = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("w", 64), ("b", 2), ("g", 8))}
    architecture = SPACE.architecture(genes | {"d1": 5, "d2": 6, "d3": 5})
    network = SPACE.network(architecture, TASK)
    found: dict[str, Any] = {"layers": cost("depth", network)}
    for name in COSTS:
        seconds = [measure_time(lambda name=name: cost(name, network))[1] for _ in range(21)][1:]
        found[name] = {"milliseconds": spread(1e3 * np.array(seconds)), "n": len(seconds)}
    return found


def circumstances() -> dict[str, Any]:
    with Path("/proc/cpuinfo").open() as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {
        "command": " ".join(["python", *(Path(argument).name for argument in sys.argv)]),
        "processor": models[0] if models else platform.processor(),
        "threads": torch.get_num_threads(),
        "load_average": Path("/proc/loadavg").read_text().split()[:3],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "images": BATCH,
    }


def table(results: dict[str, Any]) -> Iterator[str]:
    yield "| proxy | ratio (quartiles) | n | ms, ours | ms, straightforward | Spearman | tau | target |"
    yield "|---|---|---|---|---|---|---|---|"
    for kind in ("random", "best"):
        for name, r in results.get(kind, {}).items():
            ratio, own, plain = r["ratio"], r["milliseconds"], r["straightforward_milliseconds"]
            want = TARGETS[name] if kind == "random" else (TARGETS[name][0], f"tau {ELITE_TARGETS.get(name, '-')}")
            yield (
                f"| {name}, {kind} | {ratio['median']:.1f} ({ratio['q1']:.1f} to {ratio['q3']:.1f}) | {r['n']} "
                f"| {own['median']:.0f} | {plain['median']:.0f} | {r['spearman']:.4f} | {r['tau']:.3f} "
                f"| {want[0]}x at {want[1]} |"
            )
    for name in COSTS:
        r = results["costs"][name]
        milliseconds = r["milliseconds"]["median"]
        yield f"| {name}, {results['costs']['layers']:.0f} layers | | {r['n']} | {milliseconds:.1f} |||| 10 ms |"
    for name, r in results.get("standard_errors", {}).items():
        error, over_networks = r["error_of_one_score"], r["spread_over_networks"]
        yield f"{name}: standard error {error:.3f} over seeds, {over_networks:.3f} over networks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=64, help="size of the random sample")
    parser.add_argument("--evaluations", type=int, default=256, help="evaluations of the search; 0 for no search")
    parser.add_argument("--seeds", type=int, default=4, help="seeds for the standard error, at least 2")
    parser.add_argument("--proxies", nargs="+", default=TIMED, choices=TIMED)
    parser.add_argument("--data", default="digits", help="source of the real images, as in an experiment")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="stop after this time; run again to continue"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    batch, record = real_batch(options.data), Record(options.out.with_suffix(".rows"), options.seconds)
    searched = [name for name in options.proxies if name in ELITE]
    with suppress(TimeoutError):
        measure(options.proxies, random_sample(options.networks), batch, "random", record)
        if options.evaluations:
            best = best_of_a_search(options.evaluations, batch, record)
            reseed(searched, best[:16], batch, options.seeds, record)
            measure(searched, best, batch, "best", record)
    results: dict[str, Any] = {
        "circumstances": circumstances() | {"data": Path(options.data).name},
        "costs": costs_of_50_layers(),
    }
    for kind, names in (("random", options.proxies), ("best", searched)):
        results[kind] = {name: summary(found) for name in names if len(found := record.rows(kind, name)) > 1}
    errors = {name: standard_error(name, found) for name in searched if len(found := record.rows("seeds", name)) > 1}
    results["standard_errors"] = errors
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
