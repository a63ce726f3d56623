"""Measure the reliability of every score at equal FLOPs on three spaces, and write pipeline/proxies/reliability.json.

On each space, architectures are drawn until some have nearly equal FLOPs; each score is taken several times on each of
them, with new weights and the same mini-batch of real images.

python benchmarks/reliability.py IMAGES            # about 5 minutes on one core
python benchmarks/reliability.py IMAGES --spaces anynet3 --architectures 6 --out /tmp/reliability.json
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.analysis.reliability import reliability
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training import data
from zenfront.spaces import Architecture, Task

TABLE = Path(__file__).parents[1] / "pipeline/proxies/reliability.json"
TASK = Task(3, 32, 32, 10)
BATCH, SEED, DRAWS, REPEATS = 32, 0, 1000, 3
FLOPS = {"anynet3": (2e6, 3e6), "nasbench201": (11.7e6, 11.8e6), "nats_sss": (8e6, 10e6)}


def draw(scoring: Scoring, least: float, most: float, count: int) -> list[tuple[float, Architecture]]:
    """Return architectures with FLOPs in a range, and their FLOPs."""
    generator = numpy_generator(SEED, "reliability", scoring.space.name)
    costs, found = replace(scoring, names=["flops"]), dict[Architecture, float]()
    for _ in range(DRAWS):
        architecture = scoring.space.sample(generator)
        if least <= costs.score(architecture).values.get("flops", 0.0) <= most:
            found[architecture] = costs.score(architecture).values["flops"]
        if len(found) == count:
            break
    return [(flops, architecture) for architecture, flops in found.items()]


def measure(scoring: Scoring, priced: list[tuple[float, Architecture]]) -> dict[str, float | None]:
    """Return the reliability of each score at equal FLOPs."""
    rows = []
    for number, (_, architecture) in enumerate(priced, start=1):
        rows.append(scoring.score(architecture))
        print(f"{scoring.space.name}: {number} of {len(priced)}", file=sys.stderr, flush=True)
    cost = np.array([flops for flops, _ in priced])
    found = {}
    for name in scoring.names:
        means = np.array([row.values.get(name, np.nan) for row in rows])
        errors = np.array([row.errors.get(name, np.nan) for row in rows])
        value = reliability(means, errors, REPEATS, cost)
        found[name] = None if value is None else round(value, 3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help="folder of CIFAR-10, or its name on the hub")
    parser.add_argument("--spaces", default=",".join(FLOPS))
    parser.add_argument("--architectures", type=int, default=12)
    parser.add_argument("--out", type=Path, default=TABLE)
    args = parser.parse_args()
    loaded = data.load(Data(source=args.images, image="img", label="label"), TASK, SEED)
    batch = Batch(*data.proxy_batch(loaded, BATCH, SEED))
    known = {name: proxies.load(name) for name in proxies.names()}
    noisy = [name for name, proxy in known.items() if not proxy.is_running_cost]
    table = {}
    for name in args.spaces.split(","):
        scoring = Scoring(spaces.load(name), TASK, noisy, batch, SEED, repeats=REPEATS, keep_partial=True)
        priced = draw(scoring, *FLOPS[name], args.architectures)
        flops = [flops for flops, _ in priced]
        table[name] = {
            "architectures": len(priced),
            "flops": [min(flops), max(flops)],
            "repeats": REPEATS,
            "images": BATCH,
            "reliability": measure(scoring, priced),
        }
        args.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
