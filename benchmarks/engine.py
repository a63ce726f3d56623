"""What the engine adds to the scores: candidates per second, growth, memory, resuming, and the workers' share.

    just bench engine                                   # all parts, about fifteen minutes on two idle cores
    just bench engine throughput growth --out /tmp/engine.json

The parts that are named replace their results in the file; the others stay. Searches are started as a user starts
them, the console command on a terminal, live view and MLflow included; the rates come from the record and begin with
the first generation that is told.

* throughput: with null proxies (`_null.py`): by workers, candidates per trial and lookahead, between two runs of one
  candidate a trial (`_one_a_trial.py`);
* growth: 100,000 evaluations with null proxies: cost per candidate, memory, and the time to go on after a kill;
* proxies: the share of the workers' time that real proxies take; their seconds are what the simulation draws from;
* simulation: 64 and 512 workers on a virtual clock (`_simulation.py`).

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
from _simulation import simulated

from zenfront.pipeline import proxies
from zenfront.pipeline.record.ledger import read_ledger

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
    """Candidates per second of Ray Tune with `OptunaSearch`."""
    experiment = null_experiment("one", ONE_A_TRIAL, 64) | {"resources": {"device": "cpu"}}
    script = str(Path(__file__).with_name("_one_a_trial.py"))
    command = [sys.executable, script, json.dumps(experiment), str(workers), str(ONE_A_TRIAL)]
    done = subprocess.run(command, env=environment(runs), capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["rate"])


def searched(runs: Path, workers: int, batch: int | str, lookahead: int) -> dict[str, Any]:
    """A search that is long enough for its batch size to take some seconds after start-up."""
    evaluations = {1: 300, 64: 6000}.get(batch if isinstance(batch, int) else 0, 15_000)
    population = min(1000, evaluations // 3)
    name = f"workers-{workers}-batch-{batch}-lookahead-{lookahead}"
    experiment = null_experiment(name, evaluations, population, candidates_per_trial=batch, lookahead=lookahead)
    search = Search.start(experiment, runs, workers)
    search.wait()
    settings = {"workers": workers, "batch": batch, "lookahead": lookahead}
    return settings | {"evaluations": evaluations, "population": population, "rate": round(rate(search.told), 1)}


def throughput(runs: Path) -> dict[str, Any]:
    """Both ways on the same machine at the same time of day: one candidate a trial at the beginning and at the end."""
    before = one_a_trial(runs, 2)
    found = [searched(runs, workers, batch, lookahead) for workers, batch, lookahead in SETTINGS]
    both = [round(rate, 1) for rate in (before, one_a_trial(runs, 2))]
    usual = statistics.fmean(both)
    return {"one_a_trial": both, "searches": [row | {"ratio": round(row["rate"] / usual, 1)} for row in found]}


def growth(runs: Path) -> dict[str, Any]:
    """A run is killed after 100,000 evaluations, and goes on."""
    experiment = null_experiment("long", EVALUATIONS + 5000)
    search = Search.start(experiment, runs, 2)
    processor = []
    while len(told := search.told) * 1000 < EVALUATIONS:
        processor.append((len(told), search.processor_seconds()))
        time.sleep(1.0)
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
        "driver_processor_seconds": processor[:: max(1, len(processor) // 20)],
        "driver_peak_mib": round(peak / 2**20),
        "resumed_seconds_to_first_new_candidate": round(resumed, 1),
        "resumed_driver_peak_mib": round(resumed_peak / 2**20),
        "front": told[-1].front,
    }


def share(runs: Path) -> dict[str, Any]:
    """Share of the workers' time between the first generation and the last that is spent in proxies."""
    workers = 2
    search = Search.start(REAL, runs, workers)
    search.wait()
    told = search.told
    rows = read_ledger(search.folder.scores)[0][told[0].evaluations :]
    known = set(proxies.names())
    scored = sum(seconds for row in rows for proxy, seconds in row["seconds"].items() if proxy in known)
    built = sum(row["seconds"].get("build", 0.0) for row in rows)
    available = workers * (told[-1].time - told[0].time)
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
    """Population, lookahead and batch size with more workers than there are here."""
    recorded = json.loads(Path(__file__).with_name("engine_seconds.json").read_text())
    found = []
    for workers in (64, 512):
        for population, lookahead, batch in SIMULATED:
            settings = {"workers": workers, "population": population, "lookahead": lookahead, "batch": batch}
            found.append(simulated(recorded, evaluations=max(4096, 4 * population), **settings))
    return found


PARTS = {"throughput": throughput, "growth": growth, "proxies": share, "simulation": simulation}


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
    parser.add_argument("--data", type=Path, help="CIFAR-10's images for the part proxies; digits if not given")
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
