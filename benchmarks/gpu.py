"""Measure scores and training on one CUDA device, against the CPU and against the published way on the same card.

    just bench gpu                      # ten minutes on one card; a table, and benchmarks/gpu.json
    just bench gpu --profile after      # without a GPU: what a candidate would ask of it, into gpu_profile.json

The networks are a random sample of `anynet3` at 32 x 32 with at most 250 M multiply-adds. Seconds are wall-clock
seconds of a whole candidate, from its construction to the value of its score, which waits for the device. The table
gives medians and quartiles. For zen, ntk and zico, the published way is the proxy's own reference mode (of ntk, the
exact method) on the same card, with layers that initialise themselves on the CPU as the published code builds them;
for the others, `_straightforward.py`. The reference modes of zen and zico read their results once, as all proxies here
do; the published code waits more often, so that the ratio is a lower bound.

The profile counts calls of operators that launch kernels, waits for the device, and copies to it, forward and backward.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import _gpu_profile
import numpy as np
import torch
from _gpu_phases import phases, shares
from _gpu_sample import (
    BATCH,
    PUBLISHED,
    SCORES,
    SPACE,
    TASK,
    build_as_published,
    draw_sample,
    on_card,
    score_as_published,
)
from _gpu_training import NETWORKS, timed, training_rates
from scipy.stats import spearmanr

from zenfront.pipeline.scoring import Place, Scoring, noise_batch
from zenfront.spaces import Architecture

Row = dict[str, Any]
DEVICE = "cuda"


def spread(values: list[float]) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(middle), "q1": float(low), "q3": float(high), "n": len(values)}


def score_all(name: str, sample: list[Architecture], device: str, init_device: Place = "cpu") -> Row:
    """Take a score of every network: values, reasons of failures, seconds."""
    scoring = Scoring(SPACE, TASK, [name], noise_batch(TASK, BATCH, 0), 0, device=device, init_device=init_device)
    found = [timed(lambda a=a: scoring.score(a)) for a in sample]
    return {
        "values": [scores.values.get(name) for scores, _ in found],
        "failures": sorted({scores.failure for scores, _ in found if scores.failure}),
        "seconds": [seconds for _, seconds in found],
    }


def published_seconds(name: str, sample: list[Architecture]) -> list[float]:
    batch = noise_batch(TASK, BATCH, 0).to(DEVICE)

    def run(architecture: Architecture) -> float:
        return score_as_published(name, build_as_published(name, architecture, DEVICE), batch)

    for architecture in sample:
        run(architecture)
    return [timed(lambda a=a: run(a))[1] for a in sample]


def compare(name: str, sample: list[Architecture], on_cpu: int) -> Row:
    first, card = score_all(name, sample, DEVICE), score_all(name, sample, DEVICE)
    score_all(name, sample, DEVICE, "device")
    there = score_all(name, sample, DEVICE, "device")
    row: Row = {
        "card": spread(card["seconds"]),
        "card_first_time": spread(first["seconds"]),  # with the loading of kernels for shapes that are new
        "card_weights_drawn_there": spread(there["seconds"]),
        "phases": phases(name, sample, DEVICE, drawn_there=False),
        "phases_weights_drawn_there": phases(name, sample, DEVICE, drawn_there=True),
        "same_bits_twice": first["values"] == card["values"],
        "failures": card["failures"],
    }
    score_all(name, sample[:1], "cpu")
    cpu = score_all(name, sample[:on_cpu], "cpu")
    row["cpu"] = spread(cpu["seconds"])
    row["cpu_over_card"] = spread([a / b for a, b in zip(cpu["seconds"], card["seconds"], strict=False)])
    row |= agreement(cpu["values"], card["values"])
    if name in PUBLISHED or name in SCORES:
        plain = published_seconds(name, sample)
        row["published"] = spread(plain)
        row["published_over_ours"] = spread([a / b for a, b in zip(plain, card["seconds"], strict=True)])
        row["published_over_drawn_there"] = spread([a / b for a, b in zip(plain, there["seconds"], strict=True)])
    return row


def agreement(cpu: list[float | None], card: list[float | None]) -> Row:
    """Compare the values of the first networks; none of too few that have a score."""
    pairs = [(a, b) for a, b in zip(cpu, card, strict=False) if a is not None and b is not None]
    if len(pairs) <= 2:
        return {}
    here, there = np.array(pairs).T
    return {
        "spearman_with_cpu": float(spearmanr(here, there).statistic),
        "largest_relative_difference": float(np.max(np.abs(there - here) / np.maximum(np.abs(here), 1e-30))),
    }


def _score_for(seconds: float, names: list[str], start: Any, counts: Any) -> None:
    """Score candidates of a random sample in this process for a time; put their number into a queue."""
    torch.set_num_threads(1)
    scoring = Scoring(SPACE, TASK, names, noise_batch(TASK, BATCH, 0), 0, device=DEVICE, init_device="device")
    sample = draw_sample(16)
    scoring.score(sample[0])
    start.wait()
    deadline, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < deadline:
        scoring.score(sample[count % len(sample)])
        count += 1
    counts.put(count)


def share_card(workers: int, seconds: float, names: list[str]) -> dict[str, float]:
    """Candidates per second of several processes on the card, and how busy the card was."""
    context = get_context("spawn")
    start, counts = context.Barrier(workers + 1), context.Queue()
    crowd = [context.Process(target=_score_for, args=(seconds, names, start, counts)) for _ in range(workers)]
    for process in crowd:
        process.start()
    start.wait()
    busy = []
    for _ in range(int(seconds / 0.5)):
        time.sleep(0.5)
        busy.append(_utilisation())
    total = sum(counts.get() for _ in crowd)
    for process in crowd:
        process.join()
    return {"workers": workers, "candidates_per_second": total / seconds, "busy": float(np.median(busy))}


def _utilisation() -> float:
    try:
        return float(torch.cuda.utilization())
    except Exception:  # no NVML bindings: not known
        return float("nan")


def table(results: Row) -> Iterator[str]:
    yield "| proxy | ms (quartiles) | drawn there | build / draw / copy / passes, % | CPU / card | published / ours |"
    yield "|---|---|---|---|---|---|"
    for name, row in results["proxies"].items():
        card, over = row["card"], "-"
        if "published_over_ours" in row:
            over = f"{row['published_over_ours']['median']:.1f}, {row['published_over_drawn_there']['median']:.1f}"
        yield (
            f"| {name} | {1e3 * card['median']:.1f} ({1e3 * card['q1']:.1f} to {1e3 * card['q3']:.1f}) "
            f"| {1e3 * row['card_weights_drawn_there']['median']:.1f} | {shares(row['phases'])} "
            f"| {row['cpu_over_card']['median']:.2f} | {over} |"
        )
        same, rank = row["same_bits_twice"], row.get("spearman_with_cpu", float("nan"))
        yield f"  {name}: bits {'the same' if same else 'differ'} twice, Spearman with the CPU {rank:.4f}"
    for row in results["sharing"]:
        rate, busy = row["candidates_per_second"], row["busy"]
        yield f"{row['workers']} workers: {rate:.1f} candidates/s, card {busy:.0f} % busy"
    for name, row in results["training"].items():
        yield f"{name}: {row['ours']:,.0f} images/s, plain loop {row['plain']:,.0f}, ratio {row['ratio']:.2f}"


@dataclass
class Report:
    """Results so far, written after each part.

    Attributes:
        path: JSON file.
        deadline: Time after which no part is begun.
        results: The results.
    """

    path: Path
    deadline: float
    results: Row = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.results |= {
            "card": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
            "torch": torch.__version__,
            "python": platform.python_version(),
            "cpu_threads": torch.get_num_threads(),
            "proxies": {},
            "sharing": [],
            "training": {},
        }

    def add(self, part: str, key: str, work: Callable[[], Row]) -> None:
        """Do a piece of work unless time is up."""
        if time.monotonic() >= self.deadline:
            return
        value, kept = work(), self.results[part]
        kept.append(value) if isinstance(kept, list) else kept.update({key: value})
        self.path.write_text(json.dumps(self.results, indent=1) + "\n")
        print(key, flush=True)


def measure(report: Report, sample: list[Architecture], options: argparse.Namespace) -> None:
    """Take all parts, the most wanted first."""
    first = [name for name in ("zen", "ntk", "zico") if name in options.proxies]
    for name in first:
        report.add("proxies", name, lambda name=name: compare(name, sample, options.on_cpu))
    for name in NETWORKS:
        for precision in ("float32", "bfloat16"):
            report.add("training", f"{name}, {precision}", lambda n=name, p=precision: training_rates(n, p, DEVICE))
    for workers in (1, 2, 4, 8):
        work = lambda w=workers: share_card(w, options.seconds, ["zen", "ntk"])  # noqa: E731
        report.add("sharing", f"{workers} workers", work)
    for name in options.proxies:
        if name not in first:
            report.add("proxies", name, lambda name=name: compare(name, sample, options.on_cpu))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=16, help="size of the random sample")
    parser.add_argument("--on-cpu", type=int, default=6, help="networks that are scored on the CPU as well")
    parser.add_argument("--proxies", nargs="+", default=on_card(), choices=on_card())
    parser.add_argument("--seconds", type=float, default=8, help="of each run with several workers")
    parser.add_argument("--limit", type=float, default=560, help="seconds after which no new part is begun")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--profile", metavar="LABEL", help="count on the CPU, as the column of this name")
    options = parser.parse_args()
    if options.profile:
        _gpu_profile.main(options.profile, options.networks, Path(__file__).with_name("gpu_profile.json"))
        return
    if not torch.cuda.is_available():
        parser.error("this machine has no CUDA device that PyTorch can use; --profile counts on the CPU")
    report = Report(options.out, time.monotonic() + options.limit)
    measure(report, draw_sample(options.networks), options)
    print(f"\n{report.results['card']}, torch {report.results['torch']}")
    print("\n".join(table(report.results)))


if __name__ == "__main__":
    main()
