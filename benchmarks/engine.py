"""Measure the overhead of the search engine: throughput, growth, memory, resuming, and the share of the workers' time.

    just bench engine                                   # all parts, about fifteen minutes on two idle cores
    just bench engine throughput growth --out /tmp/engine.json

The parts named on the command line replace their results in the file; the other results are kept. Searches start as
for a user: the console command on a terminal, including the live view and MLflow. The rates are computed from the
record, beginning with the first finished generation.

* throughput: candidates per second with null proxies (`_null.py`) by workers, candidates per trial and lookahead,
  between two runs of one candidate per trial (`_one_a_trial.py`);
* growth: 100,000 evaluations with null proxies: cost per candidate, memory, and the time to continue after a kill;
* proxies: the share of the workers' time spent in real proxies; the simulation draws from the recorded times;
* simulation: 64 and 512 workers on a virtual clock (`_simulation.py`).

With null proxies, a worker does everything that it does with real ones: architecture from JSON, construction,
initialisation, generators and ledger row. Only the cost of the proxies and of the network itself is constant and
negligible.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _searches import Search, environment, null_experiment, rate
from _simulation import simulate

from zenfront.pipeline import proxies
from zenfront.pipeline.record.files.ledger import read_ledger

SETTINGS = ((2, 1, 1), (2, 64, 1), (2, 512, 1), (1, "auto", 1), (2, "auto", 1), (1, "auto", 2), (2, "auto", 2))
ONE_A_TRIAL = 300
EVALUATIONS = 100_000
REAL: dict[str, Any] = {
    "name": "real",
    "space": "anynet3",
    "objectives": [
        {"score": "zen", "direction": "maximise"},
        {"score": "ntk", "direction": "minimise"},
        {"score": "flops", "direction": "minimise"},
    ],
    "constraints": [{"score": "params", "at_most": 1e6}, {"score": "depth", "at_most": 56}],
    "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
    "search": {"population": 64, "evaluations": 448, "lookahead": 2},
}
SIMULATED = [(population, lookahead, "auto") for population in (256, 1024, 4096) for lookahead in (1, 2, 4)]
SIMULATED += [(1024, 2, 1), (1024, 2, 8), (1024, 2, 64)]


def one_a_trial(runs: Path, workers: int) -> float:
    """Return the candidates per second of Ray Tune with `OptunaSearch`."""
    experiment = null_experiment("one", ONE_A_TRIAL, 64) | {"resources": {"device": "cpu"}}
    script = str(Path(__file__).with_name("_one_a_trial.py"))
    command = [sys.executable, script, json.dumps(experiment), str(workers), str(ONE_A_TRIAL)]
    done = subprocess.run(command, env=environment(runs), capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["rate"])


def run_search(runs: Path, workers: int, batch: int | str, lookahead: int) -> dict[str, Any]:
    """Run a search long enough to take some seconds after start-up at its batch size."""
    evaluations = {1: 300, 64: 6000}.get(batch if isinstance(batch, int) else 0, 15_000)
    population = min(1000, evaluations // 3)
    name = f"workers-{workers}-batch-{batch}-lookahead-{lookahead}"
    experiment = null_experiment(name, evaluations, population, candidates_per_trial=batch, lookahead=lookahead)
    search = Search.start(experiment, runs, workers)
    search.wait()
    settings = {"workers": workers, "batch": batch, "lookahead": lookahead}
    return settings | {"evaluations": evaluations, "population": population, "rate": round(rate(search.generations), 1)}


def throughput(runs: Path) -> dict[str, Any]:
    """Measure all settings between two runs of the baseline, so that both see the same load of the machine."""
    before = one_a_trial(runs, 2)
    found = [run_search(runs, workers, batch, lookahead) for workers, batch, lookahead in SETTINGS]
    both = [round(rate, 1) for rate in (before, one_a_trial(runs, 2))]
    usual = statistics.fmean(both)
    return {"one_a_trial": both, "searches": [row | {"ratio": round(row["rate"] / usual, 1)} for row in found]}


def growth(runs: Path) -> dict[str, Any]:
    """Kill a search after 100,000 evaluations and resume it."""
    experiment = null_experiment("long", EVALUATIONS + 5000)
    search = Search.start(experiment, runs, 2)
    processor = []
    while len(generations := search.generations) * 1000 < EVALUATIONS:
        processor.append((len(generations), search.processor_seconds()))
        time.sleep(1.0)
    peak = search.peak_memory()
    search.kill()
    recorded = search.record_bytes
    again = Search.start(experiment, runs, 2)
    while again.record_bytes == recorded:
        time.sleep(0.02)
    resumed = time.time() - again.started
    resumed_peak = again.peak_memory()
    again.kill()
    early, late = rate(generations, 0, 9), rate(generations, EVALUATIONS // 1000 - 10, EVALUATIONS // 1000 - 1)
    return {
        "evaluations": EVALUATIONS,
        "rate": round(rate(generations), 1),
        "rate_of_each_10000": [
            round(rate(generations, max(i - 1, 0), i + 9), 1) for i in range(0, len(generations) - 9, 10)
        ],
        "cost_per_candidate_late_over_early": round(early / late, 3),
        "driver_processor_seconds": processor[:: max(1, len(processor) // 20)],
        "driver_peak_mib": round(peak / 2**20),
        "resumed_seconds_to_first_new_candidate": round(resumed, 1),
        "resumed_driver_peak_mib": round(resumed_peak / 2**20),
        "front": generations[-1].front,
    }


def proxy_share(runs: Path) -> dict[str, Any]:
    """Return the share of the workers' time spent in proxies, between the first generation and the last."""
    workers = 2
    search = Search.start(REAL, runs, workers)
    search.wait()
    generations = search.generations
    rows = read_ledger(search.folder.scores)[0][generations[0].evaluations :]
    known = set(proxies.names())
    scored = sum(seconds for row in rows for proxy, seconds in row["seconds"].items() if proxy in known)
    built = sum(row["seconds"].get("build", 0.0) for row in rows)
    available = workers * (generations[-1].time - generations[0].time)
    Path(__file__).with_name("engine_seconds.json").write_text(
        json.dumps(sorted(round(sum(row["seconds"].values()), 4) for row in rows)) + "\n"
    )
    return {
        "candidates": len(rows),
        "milliseconds_per_candidate": round(1e3 * scored / len(rows), 1),
        "in_proxies": round(scored / available, 3),
        "in_construction_and_initialisation": round(built / available, 3),
    }


def simulation(runs: Path) -> list[dict[str, Any]]:
    """Simulate populations, lookaheads and batch sizes with 64 and 512 workers."""
    recorded = json.loads(Path(__file__).with_name("engine_seconds.json").read_text())
    found = []
    for workers in (64, 512):
        for population, lookahead, batch in SIMULATED:
            settings = {"workers": workers, "population": population, "lookahead": lookahead, "batch": batch}
            found.append(simulate(recorded, evaluations=max(4096, 4 * population), **settings))
    return found


PARTS = {"throughput": throughput, "growth": growth, "proxies": proxy_share, "simulation": simulation}


def circumstances() -> dict[str, Any]:
    with Path("/proc/cpuinfo").open() as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load_average": Path("/proc/loadavg").read_text().split()[:3],
        "python": platform.python_version(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"parts to run, from {', '.join(PARTS)}; default: all")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10 images for the part proxies; default: digits")
    options = parser.parse_args()
    if options.data:
        REAL["task"] |= {"channels": 3, "height": 32, "width": 32}
        REAL["train"] = {"data": {"source": str(options.data.resolve())}}
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    for part in options.parts or PARTS:
        with tempfile.TemporaryDirectory() as runs:
            before = circumstances()
            results[part] = {"circumstances": before, "found": PARTS[part](Path(runs))}
        options.out.write_text(json.dumps(results, indent=1) + "\n")
        print(json.dumps(results[part], indent=1))


if __name__ == "__main__":
    main()
