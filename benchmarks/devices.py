"""Measure images a second of a training that two processes share, with a thread each, against one process and thread.

    just bench devices                           # two minutes on two idle cores; a table, and benchmarks/devices.json

The network is a ResNet-20 at 32 x 32 on random images in memory, with flips and random crops, a mini-batch of 128. A
process joins this one with Gloo, as the processes of `resources.train.devices: 2` do. The arms run in turn.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from zenfront import spaces
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.loop import train
from zenfront.pipeline.training.parallel.ranks import ALONE, Ranks, join, leave, listening
from zenfront.spaces import Task

CPU = torch.device("cpu")
COUNT = 128 * 6
"""Images of an epoch."""
GENES = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 3), ("w", 8 * 2**i))}
RECIPE = Recipe(batch_size=128, warmup_epochs=0, flip=True, crop_padding=4)
SHARED = {
    "2 processes": RECIPE,
    "2 processes, mixup": RECIPE.model_copy(update={"mixup": 0.2}),
    "2 processes, synchronised BN": RECIPE.model_copy(update={"sync_batch_norm": True}),
}


def random_images() -> Images:
    pixels = numpy_generator(0, "devices").integers(256, size=(COUNT + 2, 3, 32, 32), dtype=np.uint8)
    part = ImageSet(torch.from_numpy(pixels), torch.arange(COUNT + 2) % 10)
    training, rest = (ImageSet(part.pixels[a:b], part.labels[a:b]) for a, b in ((0, COUNT), (COUNT, COUNT + 2)))
    return Images(
        training, rest, torch.full((3,), 127.0), torch.full((3,), 70.0), partial(ImageSet, rest.images, rest.labels), 10
    )


def rate(images: Images, recipe: Recipe, ranks: Ranks) -> float:
    """Return the images a second of the second of two epochs; the first one warms up."""
    space = spaces.load("resnet")
    network = space.network(space.architecture(GENES), Task(3, 32, 32, 10))
    epochs = train(network, images, recipe, epochs=2, seed=0, device=CPU, ranks=ranks)
    next(epochs)
    start = time.perf_counter()
    next(epochs)
    return COUNT / (time.perf_counter() - start)


def summary(rates: list[float]) -> dict[str, float]:
    return {"median": float(np.median(rates)), "lowest": min(rates), "highest": max(rates), "n": len(rates)}


def second_process(port: int, rounds: int) -> None:
    join(Ranks(1, 2), "127.0.0.1", port, device=CPU, seconds=600)
    images = random_images()
    for _ in range(rounds):
        for recipe in SHARED.values():
            rate(images, recipe, Ranks(1, 2))
    leave()


def measure(rounds: int) -> dict[str, dict[str, float]]:
    with listening("127.0.0.1") as server:
        port = server.getsockname()[1]
        with subprocess.Popen([sys.executable, __file__, "--rounds", str(rounds), "--port", str(port)]):
            join(Ranks(0, 2), "127.0.0.1", port, device=CPU, seconds=600, server=server)
            images, found = random_images(), dict[str, list[float]]()
            for _ in range(rounds):
                found.setdefault("1 process", []).append(rate(images, RECIPE, ALONE))
                for name, recipe in SHARED.items():
                    found.setdefault(name, []).append(rate(images, recipe, Ranks(0, 2)))
            leave()
    return {name: summary(rates) for name, rates in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.port:
        return second_process(options.port, options.rounds)
    found = measure(options.rounds)
    alone = found["1 process"]["median"]
    for name, each in found.items():
        spread = f"{each['lowest']:.0f} .. {each['highest']:.0f}, n = {each['n']}"
        print(f"{name:30} {each['median']:8.0f} images/s ({spread})  {each['median'] / alone:.2f}x")
    kept = Path(__file__).with_suffix(".json")
    kept.write_text(json.dumps({"images a second": found, "processors": os.cpu_count()}, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
