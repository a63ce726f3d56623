"""What the engine adds to the scores: candidates per second, growth, memory, resuming, and the workers' share.

    just bench engine                                   # all parts, about twenty minutes on two idle cores
    just bench engine throughput growth --out /tmp/engine.json

The parts that are named replace their results in the file; the others stay. Searches are started as a user starts
them, the console command on a terminal, live view and MLflow included; the rates come from the record and begin with
the first generation that is told.

* throughput: with null proxies (`_null.py`): batch size against workers, between two runs of one candidate a trial
  (`_one_a_trial.py`);
* growth: 100,000 evaluations with null proxies: cost per candidate, memory, and the time to go on after a kill;
* proxies: the share of the workers' time that real proxies take.

Everything in a worker runs for null proxies as for others: architecture from JSON, construction, initialisation,
generators, ledger row. What is constant and next to nothing is what the proxies and the network themselves take.
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

from pipeline import proxies
from pipeline.results import read_ledger

WORKERS = (1, 2)
BATCHES = (1, 8, 64, 512, "auto")
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
}


def one_a_trial(runs: Path, workers: int) -> float:
    """Candidates per second of Ray Tune with `OptunaSearch`."""
    experiment = null_experiment("one", ONE_A_TRIAL, 64) | {"resources": {"device": "cpu"}}
    script = str(Path(__file__).with_name("_one_a_trial.py"))
    command = [sys.executable, script, json.dumps(experiment), str(workers), str(ONE_A_TRIAL)]
    done = subprocess.run(command, env=environment(runs), capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["rate"])


def searched(runs: Path, workers: int, batch: int | str, lookahead: int = 1) -> dict[str, Any]:
    """A search that is long enough for its batch size to take some seconds after start-up."""
    evaluations = {1: 300, 8: 2000, 64: 6000}.get(batch if isinstance(batch, int) else 0, 20_000)
    population = min(1000, evaluations // 3)
    name = f"workers-{workers}-batch-{batch}-lookahead-{lookahead}"
    experiment = null_experiment(name, evaluations, population, candidates_per_trial=batch, lookahead=lookahead)
    search = Search.start(experiment, runs, workers)
    search.wait()
    settings = {"workers": workers, "batch": batch, "lookahead": lookahead}
    return settings | {"evaluations": evaluations, "population": population, "rate": round(rate(search.told), 1)}


def throughput(runs: Path) -> dict[str, Any]:
    before = {workers: one_a_trial(runs, workers) for workers in WORKERS}
    found = [searched(runs, workers, batch) for batch in BATCHES for workers in WORKERS]
    found += [searched(runs, workers, "auto", lookahead=2) for workers in WORKERS]
    after = {workers: one_a_trial(runs, workers) for workers in WORKERS}
    alone = {str(workers): [round(before[workers], 1), round(after[workers], 1)] for workers in WORKERS}
    usual = statistics.fmean(rate for both in alone.values() for rate in both)
    return {
        "one_a_trial": alone,
        "searches": [row | {"ratio": round(row["rate"] / usual, 1)} for row in found],
    }


def growth(runs: Path) -> dict[str, Any]:
    """A run is killed after 100,000 evaluations, and goes on."""
    experiment = null_experiment("long", EVALUATIONS + 5000)
    search = Search.start(experiment, runs, 2)
    while len(told := search.told) * 1000 < EVALUATIONS:
        time.sleep(0.2)
    peak = search.peak_memory()
    search.kill()
    scored = search.scored
    again = Search.start(experiment, runs, 2)
    while again.scored == scored:
        time.sleep(0.02)
    resumed = time.time() - again.started
    resumed_peak = again.peak_memory()
    again.kill()
    early, late = rate(told, 0, 9), rate(told, EVALUATIONS // 1000 - 10, EVALUATIONS // 1000 - 1)
    return {
        "evaluations": EVALUATIONS,
        "rate": round(rate(told), 1),
        "rate_of_each_10000": [round(rate(told, max(i - 1, 0), i + 9), 1) for i in range(0, len(told) - 9, 10)],
        "cost_per_candidate_late_over_early": round(early / late, 3),
        "driver_peak_mib": round(peak / 2**20),
        "resumed_seconds_to_first_new_candidate": round(resumed, 1),
        "resumed_driver_peak_mib": round(resumed_peak / 2**20),
        "front": told[-1]["front"],
    }


def share(runs: Path, name: str, side: int, evaluations: int) -> dict[str, Any]:
    """Share of the workers' time between the first generation and the last that is spent in proxies."""
    task = {"channels": 3, "height": side, "width": side, "classes": 10}
    workers, population = 2, 64
    settings = {"population": population, "evaluations": evaluations, "lookahead": 2}
    search = Search.start(REAL | {"name": name, "task": task, "search": settings}, runs, workers)
    search.wait()
    told = search.told
    rows = read_ledger(search.folder.scores)[0][told[0]["evaluations"] :]
    known = set(proxies.names())
    scored = sum(seconds for row in rows for proxy, seconds in row["seconds"].items() if proxy in known)
    built = sum(row["seconds"].get("build", 0.0) for row in rows)
    available = workers * (told[-1]["time"] - told[0]["time"])
    return {
        "side": side,
        "evaluations": evaluations,
        "milliseconds_per_candidate": round(1e3 * scored / len(rows), 1),
        "in_proxies": round(scored / available, 3),
        "in_construction_and_initialisation": round(built / available, 3),
    }


def real(runs: Path) -> dict[str, Any]:
    return {"anynet3": share(runs, "real", 32, 512)}


PARTS = {"throughput": throughput, "growth": growth, "proxies": real}


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
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    for part in options.parts or PARTS:
        with tempfile.TemporaryDirectory() as runs:
            before = circumstances()
            results[part] = {"circumstances": before} | PARTS[part](Path(runs))
        options.out.write_text(json.dumps(results, indent=1) + "\n")
        print(json.dumps(results[part], indent=1))


if __name__ == "__main__":
    main()
