"""Measure a step of a supernet against the architecture's own step, and the evaluation of all architectures.

The 64 architectures of `supernet64` on CIFAR-like images of noise. A step of the shared weights and one of the own
network, on the same mini-batch, alternate in blocks; so do the evaluation of all on one pass and 64 separate ones.

    just bench supernet --side 16 --images 10000
"""

import argparse
import json
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import torch

from zenfront import spaces
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.supernet.evaluation import Evaluator
from zenfront.pipeline.supernet.supernet import Supernet
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.loop import evaluate, train_step
from zenfront.pipeline.training.optimisation.optimiser import new_optimizer
from zenfront.spaces import Architecture, Network, Task, initialise

RESULTS = Path(__file__).with_suffix(".json")
BLOCK = 5
RECIPE = Recipe(batch_size=64, learning_rate=0.01, warmup_epochs=0)


def main(side: int, count: int, blocks: int, rounds: int) -> None:
    torch.set_num_threads(1)
    space, task = spaces.load("supernet64"), Task(3, side, side, 10)
    architectures = [space.literal(levels) for levels in product(range(4), repeat=3)]
    supernet = Supernet(space, task, architectures)
    supernet.initialise(torch_generator(0, "weights"), torch.device("cpu"))
    document = {
        "command": f"just bench supernet --side {side} --images {count}",
        "threads": 1,
        "side": side,
        "parameters": parameters(supernet, space.network(architectures[-1], task)),
        "step": steps(supernet, architectures, blocks),
        "evaluation": evaluations(supernet, architectures, count, rounds),
    }
    print(json.dumps(document, indent=1))
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def parameters(supernet: Supernet, own: Network) -> dict[str, int]:
    """Return the numbers of parameters of the supernet, and of one architecture."""
    return {name: sum(p.numel() for p in net.parameters()) for name, net in (("supernet", supernet), ("one", own))}


def steps(supernet: Supernet, architectures: list[Architecture], blocks: int) -> dict[str, object]:
    """Return the ratio of a step of the shared weights to the architecture's own, over blocks of steps."""
    generator = torch.Generator().manual_seed(0)
    size, side = RECIPE.batch_size, supernet.task.height
    x = torch.randn(size, 3, side, side, generator=generator)
    y = torch.eye(10)[torch.randint(10, (size,), generator=generator)]
    shared = new_optimizer(supernet, RECIPE)
    ratios, seconds = [], []
    for number in range(blocks):
        architecture = architectures[(number * 13) % len(architectures)]
        own = initialise(supernet.space.network(architecture, supernet.task), torch_generator(0, "w"), "kaiming")
        own.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        alone = new_optimizer(own, RECIPE)

        def of_supernet(architecture: Architecture = architecture) -> None:
            train_step(supernet.path(architecture).train(), shared, x, y, RECIPE)

        def of_its_own(own: Network = own, alone: torch.optim.Optimizer = alone) -> None:
            train_step(own, alone, x, y, RECIPE)

        for run in (of_supernet, of_its_own):
            run()
        pair = [median(run) for run in (of_supernet, of_its_own)]
        ratios.append(pair[0] / pair[1])
        seconds.append(pair[1])
    return {"n": blocks, "ratio": spread(ratios), "own_seconds": spread(seconds)}


def median(run: Callable[[], None]) -> float:
    """Return the median of the seconds of a block of calls."""
    times = []
    for _ in range(BLOCK):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def evaluations(supernet: Supernet, architectures: list[Architecture], count: int, rounds: int) -> dict[str, object]:
    """Return the ratio of one pass for all to separate evaluations, and the largest difference of accuracies."""
    generator, side = torch.Generator().manual_seed(1), supernet.task.height
    pixels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    part = ImageSet(pixels, torch.randint(10, (count,), generator=generator))
    images = Images(part, part, torch.full((3,), 127.0), torch.full((3,), 74.0), lambda: part, 10)
    evaluator, ratios, seconds, worst = Evaluator(supernet, part, images), [], [], 0.0
    for _ in range(rounds):
        start = time.perf_counter()
        together = evaluator.accuracies(architectures)
        middle = time.perf_counter()
        alone = [evaluate(supernet.path(each).eval(), part, images).accuracy for each in architectures]
        end = time.perf_counter()
        ratios.append((middle - start) / (end - middle))
        seconds.append(end - middle)
        worst = max(worst, float(np.abs(together - np.array(alone)).max()))
    return {
        "n": rounds,
        "images": count,
        "ratio": spread(ratios),
        "separate_seconds": spread(seconds),
        "largest_difference": worst,
    }


def spread(values: list[float]) -> dict[str, float]:
    """Return median, least and greatest."""
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=16, help="Height and width of the images in pixels.")
    parser.add_argument("--images", type=int, default=10_000, help="Number of images that are evaluated.")
    parser.add_argument("--blocks", type=int, default=40, help="Number of pairs of blocks of steps.")
    parser.add_argument("--rounds", type=int, default=3, help="Number of pairs of evaluations.")
    arguments = parser.parse_args()
    main(arguments.side, arguments.images, arguments.blocks, arguments.rounds)
