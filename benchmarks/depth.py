"""Test whether a depth bound or a second objective keeps a search for the Zen-score from over-deep networks.

The benchmark searches anynet3 under one budget of FLOPs and parameters with several seeds: for the Zen-score alone,
with bounded depth, and with the NTK condition number as a second objective (NSGA-II, 256 evaluations). The best
architecture, or the knee of the front, is trained for 8 epochs on 5,000 images of CIFAR-10 and tested on all 10,000.
The searches run in this process, without Ray. Every row is recorded beside the results, and the same command continues
after an interruption.

    python benchmarks/depth.py IMAGES    # a folder with train.parquet and test.parquet; about half an hour on one core
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import Problem
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.objectives import Constraint, Objective, losses, violations
from zenfront.pipeline.pareto import front_indices
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.stages.search.loop import generations
from zenfront.pipeline.stages.select import tradeoff
from zenfront.pipeline.training import data, loop
from zenfront.spaces import Task
from zenfront.spaces import load as load_space

TASK = Task(3, 32, 32, 10)
SPACE = load_space("anynet3")
BUDGET = (Constraint("flops", at_most=4e6), Constraint("params", at_most=3e5))
ZEN, NTK = Objective("zen", "maximise"), Objective("ntk", "minimise")
VARIANTS: dict[str, tuple[tuple[Objective, ...], tuple[Constraint, ...]]] = {
    "zen": ((ZEN,), BUDGET),
    "zen, depth at most 28": ((ZEN,), (*BUDGET, Constraint("depth", at_most=28))),
    "zen and ntk": ((ZEN, NTK), BUDGET),
}
EVALUATIONS, POPULATION, BATCH = 256, 32, 16
EPOCHS = 8
RECIPE = Recipe(batch_size=64, learning_rate=0.1, warmup_epochs=2, flip=True, crop_padding=4)


def search(objectives: tuple[Objective, ...], constraints: tuple[Constraint, ...], seed: int, batch: Batch) -> Scores:
    """Search and return the best architecture; with several objectives, the knee of the front."""
    names = [o.score for o in objectives] + [c.score for c in constraints]
    scoring = Scoring(SPACE, TASK, names, batch, seed, constraints=constraints)
    algorithm = algorithms.load("nsga2").make(Problem(SPACE, objectives, constraints, POPULATION, seed))
    search = generations(algorithm, scoring.score, population=POPULATION, evaluations=EVALUATIONS)
    told = [scores for generation in search for scores in generation]
    loss, violation = losses(told, objectives), violations(told, constraints)
    front = front_indices(loss, violation)
    return told[front[int(np.argmax(tradeoff(loss[front])))]]


def train_and_test(scores: Scores, images: data.Images, seed: int) -> float:
    """Train the architecture and return its test accuracy in [0, 1]."""
    network = SPACE.network(scores.architecture, TASK)
    for _ in loop.train(network, images, RECIPE, epochs=EPOCHS, seed=seed, device=torch.device("cpu")):
        pass
    return loop.evaluate(network, images.test(), images)[1]


def run_variant(variant: str, seed: int, images: data.Images) -> dict[str, Any]:
    """Search, train and test once; return the architecture found, its scores and its accuracy."""
    objectives, constraints = VARIANTS[variant]
    batch = Batch(*data.proxy_batch(images, BATCH, seed))
    best = search(objectives, constraints, seed, batch)
    values = (
        Scoring(SPACE, TASK, ["depth", "flops", "params", "zen", "ntk"], batch, seed).score(best.architecture).values
    )
    name = {"variant": variant, "seed": seed, "architecture": SPACE.notation(best.architecture)}
    return name | {"accuracy": train_and_test(best, images, seed)} | values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help="folder with train.parquet and test.parquet, columns img and label")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = data.load(Data(source=options.images, limit=5000), TASK, 0)
    with Ledger(options.out.with_suffix(".rows")) as ledger:
        rows = list(ledger.rows)
        for seed in range(options.seeds):
            for variant in VARIANTS:
                if not any((r["variant"], r["seed"]) == (variant, seed) for r in rows):
                    rows.append(run_variant(variant, seed, images))
                    ledger.append(rows[-1:])
                    print(rows[-1], flush=True)
    options.out.write_text(json.dumps([{k: v for k, v in r.items() if k != "check"} for r in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
