"""Compare the search algorithms at equal numbers of evaluations: hypervolume, or best score, over five seeds.

There are three contests with real scores, run in this process without Ray:

* nasbench201: test accuracy after 200 epochs against FLOPs; a class whose accuracy is not in the table fails;
* nasbench201 with the accuracy alone;
* anynet3 as in tune_configs/quickstart.yaml: Zen-score against FLOPs under its constraints.

Every proposal of an algorithm is an evaluation. pymoo by itself proposes architectures more than once; with "repeats
free" only distinct ones count, which allows more generations, but smaller ones. Hypervolumes are relative to that of a
reference front (the front of the table, or of all architectures found), with the reference point at 1.1 times its
bounding box. A difference is the value of nsga2 (or zennas) minus that of the other algorithm, paired by seed; its mean
is given with the half-width of the 95 % interval by Student's t.

    just bench search                   # about ten minutes on one core; two when the scores are already recorded
    just bench search --seeds 2 --share 0.25 --out /tmp/search.json
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from _plain_pymoo import PLAIN_PYMOO
from pyarrow import parquet
from scipy.stats import t as student_t

from zenfront import spaces
from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import Problem
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.objectives import Constraint, Objective, losses, violations
from zenfront.pipeline.pareto import bounding_box, front_indices, normalised_hypervolume
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.stages.search.loop import generations
from zenfront.spaces import Architecture, Space

mpl.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT.parent / "shared/data/nasbench201_cifar10.parquet"
POPULATION = 32
FREE = ", repeats free"
BASELINES = {"plain pymoo": PLAIN_PYMOO, "plain pymoo" + FREE: PLAIN_PYMOO}
MULTI_OBJECTIVE = ("nsga2", "random", "optuna_nsga2", *BASELINES)
Losses = np.ndarray


@dataclass(frozen=True)
class Contest:
    """A comparison of the first of the algorithms with all others on one problem."""

    name: str
    space: Space
    objectives: Sequence[Objective]
    constraints: Sequence[Constraint]
    score: Callable[[Architecture], Scores]
    evaluations: int
    algorithms: Sequence[str]
    reference: Losses | None = None  # feasible losses that define the reference front; None: those of all algorithms

    @property
    def measure(self) -> str:
        return "hypervolume" if len(self.objectives) > 1 else self.objectives[0].score


def look_up_scores(path: Path) -> Callable[[Architecture], Scores]:
    """Return a look-up in a table: mean accuracy of a class in percent, and multiply-adds of its cheapest member."""
    space, rows = spaces.load("nasbench201"), dict[Architecture, list[tuple[float, float]]]()
    columns = parquet.read_table(path, columns=["architecture", "test_accuracy", "flops"]).to_pydict()
    for text, accuracy, flops in zip(*columns.values(), strict=True):
        rows.setdefault(space.architecture(space.parse(text)), []).append((accuracy, flops))
    values = {
        a: {"accuracy": float(np.mean([r[0] for r in rs])), "flops": min(r[1] for r in rs)} for a, rs in rows.items()
    }

    def score(architecture: Architecture) -> Scores:
        known = values.get(architecture)
        return Scores(architecture, known or {}, None if known else "its accuracy is not in the table", 0)

    score.all = [Scores(a, v, None, 0) for a, v in values.items()]  # type: ignore[attr-defined]
    return score


def record_scores(scoring: Scoring, ledger: Ledger) -> Callable[[Architecture], Scores]:
    """Return a function that scores each architecture once and keeps the scores in the ledger."""
    known = {scores.architecture: scores for scores in map(Scores.from_row, ledger.rows)}

    def score(architecture: Architecture) -> Scores:
        if architecture not in known:
            known[architecture] = scoring.score(architecture)
            ledger.append([known[architecture].to_row()])
        return known[architecture]

    return score


def search(contest: Contest, name: str, seed: int) -> tuple[list[Scores], float]:
    """Search; return the scores in the order of evaluation, and the processor seconds of the algorithm itself."""
    problem = Problem(contest.space, contest.objectives, contest.constraints, POPULATION, seed)
    spec = BASELINES.get(name) or algorithms.load(name)
    told: list[Scores] = []
    scoring, start = 0.0, time.process_time()

    def score(architecture: Architecture) -> Scores:
        nonlocal scoring
        before = time.process_time()
        scores = contest.score(architecture)
        scoring += time.process_time() - before
        return scores

    most = 10 * contest.evaluations if name.endswith(FREE) else contest.evaluations
    for generation in generations(spec.make(problem), score, population=POPULATION, evaluations=most):
        told += generation
        if len(evaluations(name, told)) >= contest.evaluations:
            break
    return evaluations(name, told)[: contest.evaluations], time.process_time() - start - scoring


def evaluations(name: str, told: Sequence[Scores]) -> list[Scores]:
    """Return the scores that count as evaluations: all, or only those of distinct architectures."""
    return list({s.architecture: s for s in told}.values()) if name.endswith(FREE) else list(told)


def measure(contest: Contest, found: Sequence[Scores], reference: Losses) -> list[float]:
    """Return the hypervolume, or the best score, after every generation."""
    loss, violation = losses(found, contest.objectives), violations(found, contest.constraints)
    ideal, nadir = bounding_box(reference)
    whole = normalised_hypervolume(reference, ideal, nadir)
    curve = []
    for end in range(POPULATION, len(found) + 1, POPULATION):
        front = loss[front_indices(loss[:end], violation[:end])]
        if len(contest.objectives) > 1:
            curve.append(normalised_hypervolume(front, ideal, nadir) / whole)
        else:
            curve.append(float(contest.objectives[0].sign * front[0, 0]) if len(front) else float("nan"))
    return curve


def feasible_front(contest: Contest, found: Sequence[Scores]) -> Losses:
    loss = losses(found, contest.objectives)
    return loss[front_indices(loss, violations(found, contest.constraints))]


def run_contest(contest: Contest, seeds: int) -> dict[str, Any]:
    """Return, by algorithm, the curves (seeds, generations) and its own milliseconds per evaluation."""
    runs: dict[str, list[tuple[list[Scores], float]]] = {}
    for name in contest.algorithms:
        for seed in range(seeds):
            runs.setdefault(name, []).append(search(contest, name, seed))
            print(f"{contest.name}: {name}, seed {seed}", file=sys.stderr, flush=True)
    everything = [s for several in runs.values() for found, _ in several for s in found]
    reference = contest.reference if contest.reference is not None else feasible_front(contest, everything)
    return {
        name: {
            "curves": [measure(contest, found, reference) for found, _ in several],
            "ms": float(np.mean([1e3 * seconds / len(found) for found, seconds in several])),
        }
        for name, several in runs.items()
    }


def compare(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the final values and the advantage of the first algorithm over each other one, paired by seed."""
    final = {name: np.array([curve[-1] for curve in result["curves"]]) for name, result in results.items()}
    first = next(iter(final.values()))
    quantile = student_t.ppf(0.975, len(first) - 1)
    rows = {}
    for name, values in final.items():
        difference = first - values
        rows[name] = {
            "mean": float(values.mean()),
            "sd": float(values.std(ddof=1)),
            "advantage": float(difference.mean()),
            "half_width": float(quantile * difference.std(ddof=1) / np.sqrt(len(first))),
            "ms": results[name]["ms"],
        }
    return rows


def table(name: str, contest: Mapping[str, Any]) -> str:
    rows = contest["final"]
    first = next(iter(rows))
    lines = [
        f"{name}: {contest['measure']} after {contest['evaluations']} evaluations, {contest['seeds']} seeds",
        f"{'':<28}{'mean':>9}{'sd':>9}   {first + ' is better by':<28}{'ms':>10}",
    ]
    for algorithm, row in rows.items():
        better = "" if algorithm == first else f"{row['advantage']:+.4f} ± {row['half_width']:.4f}"
        lines.append(f"{algorithm:<28}{row['mean']:>9.4f}{row['sd']:>9.4f}   {better:<28}{row['ms']:>10.1f}")
    return "\n".join(lines)


def plot(document: Mapping[str, Any], path: Path) -> None:
    """Plot one panel per contest: means over the seeds, with bands of one standard error on either side."""
    names = list(dict.fromkeys(name for contest in document.values() for name in contest["curves"]))
    figure, panels = plt.subplots(1, len(document), figsize=(5.4 * len(document), 4.2), squeeze=False)
    for panel, (name, contest) in zip(panels[0], document.items(), strict=True):
        means = []
        for algorithm, curves in contest["curves"].items():
            values = np.array(curves, dtype=float)
            steps = contest["population"] * np.arange(1, values.shape[1] + 1)
            mean, error = values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))
            colour = f"C{names.index(algorithm)}"
            panel.plot(steps, mean, colour, label=algorithm)
            panel.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
            means.append(mean)
        panel.set(title=name, xlabel="evaluations", ylabel=contest["measure"])
        panel.set_ylim(bottom=float(np.nanquantile(means, 0.08)))  # cuts off the first generations, which lie far below
        panel.legend(frameon=False, loc="lower right", fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def make_contests(options: argparse.Namespace, ledger: Ledger) -> list[Contest]:
    quick = load_experiment("quickstart")
    space, task = spaces.load(quick.space), quick.task
    constraints = quick.constraints
    names = ["zen", "flops", *(c.score for c in constraints)]
    scoring = Scoring(space, task, names, noise_batch(task, quick.search.batch, 0), 0, constraints)
    zen, flops = Objective("zen", "maximise"), Objective("flops", "minimise")
    widths = Contest(
        "anynet3: Zen-score against FLOPs",
        space,
        (zen, flops),
        constraints,
        record_scores(scoring, ledger),
        int(160 * options.share),
        MULTI_OBJECTIVE,
    )
    if not options.table.exists():
        print(f"{options.table} is missing: the contests on NAS-Bench-201 are skipped", file=sys.stderr)
        return [widths]
    score, cells = look_up_scores(options.table), spaces.load("nasbench201")
    accuracy = Objective("accuracy", "maximise")
    several = (*MULTI_OBJECTIVE, "nsga3", "rank_sum", "optuna_tpe")
    alone = ("zennas", "regularized_evolution", "random", "nsga2", "optuna_nsga2", "optuna_tpe")
    budget = int(512 * options.share)
    both = Contest(
        "NAS-Bench-201: accuracy against FLOPs",
        cells,
        (accuracy, flops),
        (),
        score,
        budget,
        several,
    )
    both = replace(both, reference=feasible_front(both, score.all))
    return [
        both,
        Contest("NAS-Bench-201: accuracy", cells, (accuracy,), (), score, budget, alone, both.reference),
        widths,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0, help="run this share of the evaluations")
    parser.add_argument("--table", type=Path, default=TABLE, help="parquet file of NAS-Bench-201 accuracies")
    parser.add_argument(
        "--only", default="", help="run contests whose name contains this text; keep the others' results"
    )
    parser.add_argument(
        "--scores", type=Path, default=ROOT / "runs/benchmark_search.jsonl", help="record of the scores"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    document = json.loads(options.out.read_text(encoding="utf-8")) if options.only and options.out.exists() else {}
    with Ledger(options.scores) as ledger:
        for contest in make_contests(options, ledger):
            if options.only in contest.name:
                result = run_contest(contest, options.seeds)
                document[contest.name] = {
                    "measure": contest.measure,
                    "evaluations": contest.evaluations,
                    "population": POPULATION,
                    "seeds": options.seeds,
                    "final": compare(result),
                    "curves": {name: np.round(several["curves"], 6).tolist() for name, several in result.items()},
                }
    print("\n\n".join(table(name, contest) for name, contest in document.items()))
    options.out.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
    plot(document, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
