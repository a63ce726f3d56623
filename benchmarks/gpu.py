"""Measure scores and training on one CUDA device, against the CPU and against the published way on the same card.

    just bench gpu                      # ten minutes on one card; a table, and benchmarks/gpu.json

The networks are a random sample of `anynet3` at 32 x 32 with at most `FLOPS` multiply-adds. Seconds are wall-clock
seconds of a whole candidate, from its construction to the value of its score, which waits for the device. The table
gives medians and quartiles. For zen, ntk and zico, the published way is the proxy's own reference mode (of ntk, the
exact method) on the same card, with layers that initialise themselves on the CPU as the published code builds them;
for the others, `_straightforward.py`.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _straightforward import SCORES
from scipy.stats import spearmanr
from torch.nn import functional as F

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.loop import train
from zenfront.spaces import Architecture, Network, Task, initialise

TASK, SPACE = Task(3, 32, 32, 10), spaces.load("anynet3")
RESNET = spaces.load("resnet")
RESNET_GENES = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 8), ("w", 8 * 2**i))}
BATCH = 32
FLOPS = 2.5e8
PUBLISHED: dict[str, dict[str, Any]] = {
    "zen": {"mode": "reference", "images": 64},
    "ntk": {"method": "exact"},
    "zico": {"mode": "reference"},
}
ON_CARD = [name for name in proxies.names() if not proxies.load(name).is_cost]


def draw_sample(count: int) -> list[Architecture]:
    rng = numpy_generator(0, "benchmark of a GPU")
    costs = Scoring(SPACE, TASK, ["flops"], noise_batch(TASK, 2, 0), 0)
    found: list[Architecture] = []
    while len(found) < count:
        architecture = SPACE.sample(rng)
        scores = costs.score(architecture)
        if scores.failure is None and scores.values["flops"] <= FLOPS:
            found.append(architecture)
    return found


def spread(values: list[float]) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(middle), "q1": float(low), "q3": float(high), "n": len(values)}


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    torch.cuda.synchronize()
    start = time.perf_counter()
    value = work()
    torch.cuda.synchronize()
    return value, time.perf_counter() - start


def score_all(name: str, sample: list[Architecture], device: str) -> dict[str, Any]:
    """Values, seconds and the share of building and initialising."""
    scoring = Scoring(SPACE, TASK, [name], noise_batch(TASK, BATCH, 0), 0, device=device)
    found = [timed(lambda a=a: scoring.score(a)) for a in sample]
    build = sum(scores.seconds.get("build", 0.0) for scores, _ in found)
    total = sum(sum(scores.seconds.values()) for scores, _ in found)
    return {
        "values": [scores.values.get(name) for scores, _ in found],
        "failures": sorted({scores.failure for scores, _ in found if scores.failure}),
        "seconds": [seconds for _, seconds in found],
        "build_share": build / total if total else 0.0,
    }


def publish(name: str, architecture: Architecture, batch: Batch) -> float:
    with torch.random.fork_rng():
        network = SPACE.build(architecture, TASK)
    weights = proxies.load(name).weights
    assert weights != "none"
    initialise(network, torch_generator(0, architecture.id, weights), weights, "cuda")
    if name in SCORES:
        return SCORES[name](network.train(), batch.images, batch.labels)
    generator = torch_generator(0, architecture.id, name, device="cuda")
    return proxies.load(name).score(network, batch, generator, **PUBLISHED[name])


def published_seconds(name: str, sample: list[Architecture]) -> list[float]:
    batch = noise_batch(TASK, BATCH, 0).to("cuda")
    for architecture in sample:
        publish(name, architecture, batch)
    return [timed(lambda a=a: publish(name, a, batch))[1] for a in sample]


def compare(name: str, sample: list[Architecture], on_cpu: int) -> dict[str, Any]:
    first, card = score_all(name, sample, "cuda"), score_all(name, sample, "cuda")
    row: dict[str, Any] = {
        "card": spread(card["seconds"]),
        "card_first_time": spread(first["seconds"]),  # with the loading of kernels for shapes that are new
        "build_share": card["build_share"],
        "same_bits_twice": first["values"] == card["values"],
        "failures": card["failures"],
    }
    score_all(name, sample[:1], "cpu")
    cpu = score_all(name, sample[:on_cpu], "cpu")
    row["cpu"] = spread(cpu["seconds"])
    row["cpu_over_card"] = spread([a / b for a, b in zip(cpu["seconds"], card["seconds"], strict=False)])
    pairs = [(a, b) for a, b in zip(cpu["values"], card["values"], strict=False) if a is not None and b is not None]
    if len(pairs) > 2:
        there, here = np.array(pairs).T
        row["spearman_with_cpu"] = float(spearmanr(there, here).statistic)
        row["largest_relative_difference"] = float(np.max(np.abs(here - there) / np.maximum(np.abs(there), 1e-30)))
    if name in PUBLISHED or name in SCORES:
        plain = published_seconds(name, sample)
        row["published"] = spread(plain)
        row["published_over_ours"] = spread([a / b for a, b in zip(plain, card["seconds"], strict=True)])
    return row


def _score_for(seconds: float, names: list[str], start: Any, counts: Any) -> None:
    """Score candidates of a random sample in this process for a time; put their number into a queue."""
    torch.set_num_threads(1)
    scoring = Scoring(SPACE, TASK, names, noise_batch(TASK, BATCH, 0), 0, device="cuda")
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


def plain_steps(network: Network, x: torch.Tensor, y: torch.Tensor, precision: str, steps: int) -> None:
    """Train as in any PyTorch tutorial: SGD with momentum, cross-entropy, a batch at a time."""
    optimizer = torch.optim.SGD(network.parameters(), 0.1, 0.9, nesterov=True, weight_decay=5e-4)
    for step in range(steps):
        first = step * 128 % (len(x) - 128)
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(network(x[first : first + 128]), y[first : first + 128])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def random_images(count: int) -> Images:
    """Training and validation images of random pixels, as the training stage takes them."""
    generator = torch_generator(0, "images")
    pixels = torch.randint(256, (count + 512, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (count + 512,), generator=generator)
    train, validation = ImageSet(pixels[:count], labels[:count]), ImageSet(pixels[count:], labels[count:])
    return Images(train, validation, torch.full((3,), 127.5), torch.full((3,), 74.0), lambda: validation, 10)


def training_rates(precision: str, count: int = 25_600) -> dict[str, Any]:
    """Images per second in the training stage's loop and in the plain loop, the images on the card."""
    images, architecture = random_images(count), RESNET.architecture(RESNET_GENES)
    recipe = Recipe(batch_size=128, warmup_epochs=1, precision=precision)  # type: ignore[arg-type]
    network = RESNET.network(architecture, TASK)
    epochs = train(network, images, recipe, epochs=3, seed=0, device=torch.device("cuda"))
    seconds = [timed(lambda: next(epochs))[1] for _ in range(3)][1:]
    network = initialise(RESNET.network(architecture, TASK), torch_generator(0, "plain"), "kaiming", "cuda")
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    x = images.normalise(images.train.images.cuda()).to(memory_format=torch.channels_last)
    y = images.train.labels.cuda()
    plain_steps(network, x, y, precision, 20)
    plain = [timed(lambda: plain_steps(network, x, y, precision, count // 128))[1] for _ in range(2)]
    return {"ours": count / min(seconds), "plain": count / min(plain), "ratio": min(plain) / min(seconds)}


def table(results: dict[str, Any]) -> Iterator[str]:
    yield "| proxy | ms on the card (quartiles) | build | CPU / card | published / ours | Spearman with CPU | bits |"
    yield "|---|---|---|---|---|---|---|"
    for name, row in results["proxies"].items():
        card, over = row["card"], f"{row['published_over_ours']['median']:.1f}" if "published_over_ours" in row else "-"
        yield (
            f"| {name} | {1e3 * card['median']:.1f} ({1e3 * card['q1']:.1f} to {1e3 * card['q3']:.1f}) "
            f"| {100 * row['build_share']:.0f} % | {row['cpu_over_card']['median']:.2f} "
            f"| {over} | {row.get('spearman_with_cpu', float('nan')):.4f} "
            f"| {'same' if row['same_bits_twice'] else 'differ'} |"
        )
    for row in results["sharing"]:
        rate, busy = row["candidates_per_second"], row["busy"]
        yield f"{row['workers']} workers: {rate:.1f} candidates/s, card {busy:.0f} % busy"
    for name, row in results["training"].items():
        yield f"{name}: {row['ours']:,.0f} images/s, plain loop {row['plain']:,.0f}, ratio {row['ratio']:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=24, help="size of the random sample")
    parser.add_argument("--on-cpu", type=int, default=8, help="networks that are scored on the CPU as well")
    parser.add_argument("--proxies", nargs="+", default=ON_CARD, choices=ON_CARD)
    parser.add_argument("--seconds", type=float, default=8, help="of each run with several workers")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which no new part is begun")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("this machine has no CUDA device that PyTorch can use")
    deadline = time.monotonic() + options.limit
    sample = draw_sample(options.networks)
    results: dict[str, Any] = {
        "card": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu_threads": torch.get_num_threads(),
        "proxies": {},
        "sharing": [],
        "training": {},
    }

    def keep(part: dict[str, Any] | list[Any], key: str, work: Callable[[], Any]) -> None:
        if time.monotonic() < deadline:
            value = work()
            part.append(value) if isinstance(part, list) else part.update({key: value})
            options.out.write_text(json.dumps(results, indent=1) + "\n")
            print(key, flush=True)

    for name in ("zen", "ntk", "zico"):
        if name in options.proxies:
            keep(results["proxies"], name, lambda name=name: compare(name, sample, options.on_cpu))
    for precision in ("float32", "bfloat16"):
        keep(results["training"], f"ResNet of 3 x 8 blocks, {precision}", lambda p=precision: training_rates(p))
    for workers in (1, 2, 4, 8):
        keep(results["sharing"], f"{workers} workers", lambda w=workers: share_card(w, options.seconds, ["zen", "ntk"]))
    for name in options.proxies:
        if name not in results["proxies"]:
            keep(results["proxies"], name, lambda name=name: compare(name, sample, options.on_cpu))
    print(f"\n{results['card']}, torch {results['torch']}")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
