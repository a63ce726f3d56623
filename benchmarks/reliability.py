"""Measure the reliability of every score at equal FLOPs on three spaces, and write pipeline/proxies/reliability.json.

On each space the architectures are those whose FLOPs are next to the median of 200 draws. Each score is taken several
times on each of them, with new weights and the same mini-batch of scikit-learn's digits (8 x 8 grey images).

python benchmarks/reliability.py            # some minutes on one core
python benchmarks/reliability.py --spaces anynet3 --architectures 6 --out /tmp/reliability.json
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.analysis.reliability import reliability
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training import data
from zenfront.spaces import Architecture, Task

TABLE = Path(__file__).parents[1] / "pipeline/proxies/reliability.json"
SPACES = ("anynet3", "nasbench201", "nats_sss")
TASK = Task(1, 8, 8, 10)
BATCH, SEED, DRAWS, REPEATS = 16, 0, 200, 3


def draw(scoring: Scoring, count: int) -> dict[Architecture, float]:
    """Return the architectures with FLOPs next to the median of the draws, and their FLOPs."""
    generator = numpy_generator(SEED, "reliability", scoring.space.name)
    costs = replace(scoring, names=["flops"])
    drawn = {scoring.space.sample(generator): 0.0 for _ in range(DRAWS)}
    flops = {a: costs.score(a).values.get("flops", 0.0) for a in drawn}
    flops = {a: value for a, value in flops.items() if value > 0}
    median = float(np.median(list(flops.values())))
    return dict(sorted(flops.items(), key=lambda pair: abs(np.log(pair[1] / median)))[:count])


def measure(names: Sequence[str], rows: Sequence[Scores], flops: Sequence[float]) -> dict[str, float | None]:
    """Return the reliability of each score at equal FLOPs."""
    cost = np.array(flops)
    found = {}
    for name in names:
        means = np.array([row.values.get(name, np.nan) for row in rows])
        errors = np.array([row.errors.get(name, np.nan) for row in rows])
        value = reliability(means, errors, REPEATS, cost)
        found[name] = None if value is None else round(value, 3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", default=",".join(SPACES))
    parser.add_argument("--architectures", type=int, default=12)
    parser.add_argument("--out", type=Path, default=TABLE)
    args = parser.parse_args()
    batch = Batch(*data.proxy_batch(data.load(Data(source="digits"), TASK, SEED), BATCH, SEED))
    known = {name: proxies.load(name) for name in proxies.names()}
    noisy = [name for name, proxy in known.items() if not proxy.is_running_cost]
    table: dict[str, Any] = {}
    for name in args.spaces.split(","):
        scoring = Scoring(spaces.load(name), TASK, noisy, batch, SEED, repeats=REPEATS, keep_partial=True)
        flops = draw(scoring, args.architectures)
        rows: list[Scores] = []
        for architecture in flops:
            rows.append(scoring.score(architecture))
            print(f"{name}: {len(rows)} of {len(flops)}", file=sys.stderr, flush=True)
            taken = list(flops.values())[: len(rows)]
            settings = {
                "architectures": len(rows),
                "flops": [min(taken), max(taken)],
                "repeats": REPEATS,
                "images": BATCH,
            }
            table[name] = settings | {"reliability": measure(noisy, rows, taken)}
            args.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
