"""Measure how well a model of the latency predicts seven devices of NAS-Bench-201 from few measurements.

For each device, the model is fitted on 25, 50 and 100 architectures drawn at random, five times, and predicts the
latencies of all others. FLOPs and parameters are compared on the same architectures. Latencies of networks that are the
same after dead edges are removed are averaged; values of 0, where a device did not run a network, are left out.

    python benchmarks/latency.py ../shared/data/nasbench201_cifar10.parquet
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from zenfront import spaces
from zenfront.pipeline.analysis.correlation import kendall
from zenfront.pipeline.analysis.learned import Population, predict_cost
from zenfront.pipeline.evaluation.learned import MEASURED
from zenfront.pipeline.evaluation.sample import draw
from zenfront.pipeline.evaluation.truth_table import TruthTable, read_truth
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.structure import Describer
from zenfront.pipeline.structure.graph import COLUMNS
from zenfront.spaces import Task

DEVICES = ("edgegpu", "raspi4", "edgetpu", "pixel3", "fpga", "titan_rtx_batch256", "xeon_gold_6226")
SAMPLE, DRAWS = 1500, 5
RESULTS = Path(__file__).with_suffix(".json")


def main(path: Path) -> None:
    space = spaces.load("nasbench201")
    describer = Describer(space, Task(3, 32, 32, 10))
    start, rows = time.perf_counter(), {}
    for device in DEVICES:
        table = draw(read_truth(path, space, f"latency_ms_{device}", positive=True), SAMPLE, seed=0)
        rows[device] = measured(table, describer)
        print(device, json.dumps(rows[device]), flush=True)
    document = {
        "command": "just bench latency ../shared/data/nasbench201_cifar10.parquet",
        "sample": SAMPLE,
        "draws": DRAWS,
        "seconds": round(time.perf_counter() - start),
        "devices": rows,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def measured(table: TruthTable, describer: Describer) -> dict[str, Any]:
    """Return τ of FLOPs, parameters and the models with the latencies, and the error of the models."""
    structure, latency = describer.describe(table.architectures), table.accuracy
    flops, params = (structure["graph"][:, COLUMNS.index(name)] for name in ("multiply-adds", "parameters"))
    known_before = Population({}, flops, structure)
    found: dict[str, Any] = {"n": len(latency), "flops": tau(flops, latency), "params": tau(params, latency)}
    for count in MEASURED:
        taus, errors = [], []
        for seed in range(DRAWS):
            order = numpy_generator(seed, "latency").permutation(len(latency))
            known, others = order[:count], order[count:]
            predicted = predict_cost(known_before, latency, known, others)
            taus.append(tau(predicted, latency[others]))
            errors.append(float(np.median(np.abs(predicted / latency[others] - 1))))
        found[f"model of {count}"] = {
            "tau": round(float(np.mean(taus)), 3),
            "tau_sd": round(float(np.std(taus, ddof=1)), 3),
            "median_error": round(float(np.mean(errors)), 4),
        }
    return found


def tau(x: np.ndarray, y: np.ndarray) -> float:
    return round(float(kendall(x, y, np.ones((1, len(x)), np.float32))[0]), 3)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
