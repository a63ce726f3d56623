"""How fast the proxies are against the straightforward way, and how near to the exact value.

Networks: a random sample of the three-stage bottleneck space at 32 x 32, and the 64 best of a finished search (zen, ntk
and flops; NSGA-II; at most 1 M parameters and 56 convolutions deep). For every network and proxy, one after the
other in one run, each with the construction of the network:

* straightforward: what the published code does: the reference mode of zen (64 images), ntk and zico; and
  `_straightforward.py`;
* ours: the default mode;
* exact: zen's paper mode in float64 with 64 images; ntk row by row (the straightforward run itself: float32 rows,
  float64 Gram matrix and eigenvalues, which agrees with float64 rows to 1e-6); the others in float64.

    just bench proxies                  # the whole table, about two hours on one core
    just bench proxies --networks 8 --evaluations 0 --out /tmp/proxies.json
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _straightforward import SCORES
from pymoo.algorithms.moo.nsga2 import RankAndCrowding
from pymoo.core.population import Population
from pymoo.core.problem import Problem as PymooProblem
from scipy.stats import kendalltau, spearmanr

import spaces
from pipeline import algorithms, proxies
from pipeline.algorithms import Problem
from pipeline.config import Data
from pipeline.objectives import Constraint, Objective, losses, violations
from pipeline.proxies import Batch
from pipeline.results import Scores
from pipeline.scoring import Scoring
from pipeline.seeds import numpy_generator, torch_generator
from pipeline.training import data as training_data
from spaces import Architecture, Network, Task, initialise

TASK = Task(3, 32, 32, 10)
SPACE = spaces.load("anynet3")
BATCH = 32
BEST = 64
MAX_ACTIVATIONS = 8e6  # an image; more do not fit into the memory of the row-by-row kernel
OBJECTIVES = (Objective("zen", "maximise"), Objective("ntk", "minimise"), Objective("flops", "minimise"))
CONSTRAINTS = (Constraint("params", at_most=1e6), Constraint("depth", at_most=56))
TIMED = ["zen", "ntk", "zico", "snip", "synflow", "grad_norm", "fisher", "naswot"]
COSTS = ["flops", "params", "activations", "depth"]
TARGETS = {"zen": (6, 0.995), "ntk": (15, 0.95)} | dict.fromkeys(TIMED[2:], (1.5, 0.999))
ELITE_TARGETS = {"zen": 0.9, "ntk": 0.8}
STRAIGHTFORWARD_OPTIONS: dict[str, dict[str, Any]] = {"zen": {"mode": "reference", "images": 64}}
Row = dict[str, float]


def real_batch(source: str) -> Batch:
    """Normalised images of a data source, digits enlarged to 32 x 32 and three channels where there is no other."""
    if source != "digits":
        return Batch(*training_data.proxy_batch(training_data.load(Data(source=source), TASK, 0), BATCH, 0))
    images = training_data.load(Data(source="digits"), Task(1, 8, 8, 10), 0)
    small, labels = training_data.proxy_batch(images, BATCH, 0)
    return Batch(torch.nn.functional.interpolate(small, size=(32, 32), mode="bilinear").expand(-1, 3, -1, -1), labels)


def random_sample(count: int) -> list[Architecture]:
    """Uniform over the levels of every gene, without what the row-by-row kernel has no memory for."""
    rng, found = numpy_generator(0, "benchmark of proxies"), list[Architecture]()
    while len(found) < count:
        architecture = SPACE.sample(rng)
        if cost("activations", SPACE.network(architecture, TASK)) <= MAX_ACTIVATIONS:
            found.append(architecture)
    return found


def cost(name: str, network: Network) -> float:
    empty = Batch(torch.empty(1, 3, 32, 32, device="meta"), torch.empty(1, device="meta"))
    return proxies.load(name).score(network, empty, torch_generator(0, "cost"))


def best_of_a_search(evaluations: int, batch: Batch) -> list[Architecture]:
    """The 64 best by rank and crowding distance of all that a search scored."""
    names = [o.score for o in OBJECTIVES] + [c.score for c in CONSTRAINTS]
    scoring = Scoring(SPACE, TASK, names, batch, seed=0, constraints=CONSTRAINTS)
    algorithm = algorithms.load("nsga2").make(Problem(SPACE, OBJECTIVES, CONSTRAINTS, population=64, seed=0))
    told: list[Scores] = []
    while len(told) < evaluations and (asked := algorithm.ask(min(64, evaluations - len(told)))):
        scored = [scoring.score(architecture) for architecture in asked]
        algorithm.tell(scored)
        told += scored
        print(f"search: {len(told)} of {evaluations}", file=sys.stderr, flush=True)
    feasible = [s for s, v in zip(told, violations(told, CONSTRAINTS), strict=True) if v <= 0]
    loss = losses(feasible, OBJECTIVES)
    population = Population.new("F", loss, "index", np.arange(len(loss)))
    survivors = RankAndCrowding().do(PymooProblem(n_obj=loss.shape[1]), population, n_survive=BEST)
    return [feasible[i].architecture for i in survivors.get("index")]


def plainly_built(architecture: Architecture) -> Network:
    """As the published code builds: on the CPU, every layer initialising itself."""
    with torch.random.fork_rng(devices=[]):
        return SPACE.build(architecture, TASK)


def ready(name: str, architecture: Architecture, *, plainly: bool, seed: int) -> Network:
    network = plainly_built(architecture) if plainly else SPACE.network(architecture, TASK)
    weights = proxies.load(name).weights
    assert weights != "none"
    return initialise(network, torch_generator(seed, architecture.id, weights), weights)


def generator(name: str, architecture: Architecture, seed: int) -> torch.Generator:
    return torch_generator(seed, architecture.id, name)


def straightforward(name: str, architecture: Architecture, batch: Batch) -> float:
    network = ready(name, architecture, plainly=True, seed=0)
    if name in SCORES:
        return SCORES[name](network.train(), batch.images, batch.labels)
    options = STRAIGHTFORWARD_OPTIONS.get(name, {"mode": "reference"})
    return proxies.load(name).score(network, batch, generator(name, architecture, 0), **options)


def ours(name: str, architecture: Architecture, batch: Batch, seed: int = 0, **options: Any) -> float:
    network = ready(name, architecture, plainly=False, seed=seed)
    return proxies.load(name).score(network, batch, generator(name, architecture, seed), **options)


def exact(name: str, architecture: Architecture, batch: Batch) -> float:
    if name == "zen":
        return ours(name, architecture, batch, precision="float64", images=64)
    return ours(name, architecture, replace(batch, images=batch.images.double()))


def timed(work: Callable[[], float]) -> tuple[float, float]:
    start = time.process_time()
    value = work()
    return value, time.process_time() - start


def compare(name: str, architecture: Architecture, batch: Batch) -> Row:
    plain, plain_seconds = timed(lambda: straightforward(name, architecture, batch))
    value, seconds = timed(lambda: ours(name, architecture, batch))
    true = plain if name == "ntk" else exact(name, architecture, batch)
    return {"exact": true, "value": value, "seconds": seconds, "straightforward_seconds": plain_seconds}


def rows(name: str, sample: list[Architecture], batch: Batch, label: str) -> list[Row]:
    found = []
    for number, architecture in enumerate(sample, start=1):
        found.append(compare(name, architecture, batch))
        if number % 8 == 0:
            print(f"{label}: {name}: {number} of {len(sample)}", file=sys.stderr, flush=True)
    return found


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
    ratio = column(found, "straightforward_seconds") / column(found, "seconds")
    return {
        "n": len(found),
        "ratio": spread(ratio),
        "milliseconds": spread(1e3 * column(found, "seconds")),
        "straightforward_milliseconds": spread(1e3 * column(found, "straightforward_seconds")),
    } | agreement(found)


def standard_errors(name: str, sample: list[Architecture], batch: Batch, seeds: int) -> dict[str, float]:
    """Of one score over fresh weights, in its own unit; relative for ntk; beside its spread over the networks."""
    values = np.array([[ours(name, a, batch, seed=seed) for seed in range(seeds)] for a in sample])
    if name == "ntk":
        values = np.log(values)
    return {
        "networks": len(sample),
        "seeds": seeds,
        "error_of_one_score": float(np.sqrt(values.var(1, ddof=1).mean())),
        "spread_over_networks": float(values.mean(1).std(ddof=1)),
    }


def costs_of_50_layers() -> dict[str, Any]:
    genes = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("w", 64), ("b", 2), ("g", 8))}
    architecture = SPACE.architecture(genes | {"d1": 5, "d2": 6, "d3": 5})
    network = SPACE.network(architecture, TASK)
    found: dict[str, Any] = {"layers": cost("depth", network)}
    for name in COSTS:
        seconds = [timed(lambda name=name: cost(name, network))[1] for _ in range(21)][1:]
        found[name] = {"milliseconds": spread(1e3 * np.array(seconds)), "n": len(seconds)}
    return found


def circumstances() -> dict[str, Any]:
    with Path("/proc/cpuinfo").open() as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {
        "command": " ".join(["python", *sys.argv]),
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
    parser.add_argument("--evaluations", type=int, default=1024, help="of the search; 0: none")
    parser.add_argument("--seeds", type=int, default=4, help="for the standard error; 0: none")
    parser.add_argument("--proxies", nargs="+", default=TIMED, choices=TIMED)
    parser.add_argument("--data", default="digits", help="source of the real images, as in an experiment")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    batch = real_batch(options.data)
    results: dict[str, Any] = {"circumstances": circumstances() | {"data": options.data}, "costs": costs_of_50_layers()}
    sample = random_sample(options.networks)
    results["random"] = {name: summary(rows(name, sample, batch, "random")) for name in options.proxies}
    if options.evaluations:
        best = best_of_a_search(options.evaluations, batch)
        searched = [name for name in options.proxies if name in ELITE_TARGETS]
        results["best"] = {name: summary(rows(name, best, batch, "best")) for name in searched}
        if options.seeds:
            few = best[:16]
            results["standard_errors"] = {n: standard_errors(n, few, batch, options.seeds) for n in searched}
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
