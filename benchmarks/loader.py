"""Measure how fast mini-batches are read, what that costs a training, and the memory of a worker.

    just bench loader                            # some minutes on two cores; tables, and benchmarks/loader.json
    just bench loader --parts reading            # one part; the others in loader.json stay as they are

Every figure is a ratio or a peak within one run on one machine:

* reading: images a second of the loader alone at 224 x 224 from JPEG files of 400 x 300, cut at random anew in each
  epoch, against `torch.utils.data.DataLoader` over the same files with as many processes as there are threads here.
* training: images a second of a ResNet-20 at 32 x 32 with the images in memory and on the disk, and of a plain loop.
* memory: peak resident memory of the driver, which looks at generated JPEG files of 256 x 256 and stores them, and of
  a worker, which trains some steps of a small network, evaluates it, and reads all mini-batches of an epoch and a test.
"""

import argparse
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from _loader_plain import PlainFiles, plain_epoch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from zenfront import spaces
from zenfront.pipeline.cluster.memory import peak
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.experiment.train_config import Data, Resize
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.training.data import Images, load
from zenfront.pipeline.training.images.look import look
from zenfront.pipeline.training.loop import draw_batches, evaluate, train, train_step
from zenfront.pipeline.training.optimisation.optimiser import new_optimizer
from zenfront.spaces import Network, Task, initialise

ROLES = ("driver", "worker")
PARTS = ("reading", "training", "memory")
DISTINCT = 200
"""Different images among the generated ones; the others are links to their files."""
ROUNDS = 8
STEPS = 10
"""Training steps of the worker whose memory is measured."""
CPU = torch.device("cpu")
SMALL, LARGE = Task(3, 32, 32, 10), Task(3, 224, 224, 2)


def write_photos(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Write JPEG files of smooth noise in train/ and test/, in two classes; a fiftieth of them is for the test."""
    rng = numpy_generator(0, "photos")
    folder.mkdir(parents=True)
    for number in range(min(count, DISTINCT)):
        coarse = Image.fromarray(rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8))
        fine = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = (fine + rng.integers(-8, 9, fine.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{number}.jpg", quality=90)
    for part, first, last in (("train", 0, count), ("test", count, count + count // 50)):
        for number in range(first, last):
            place = folder / f"data/{part}/{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            os.link(folder / f"{number % DISTINCT}.jpg", place / f"{number}.jpg")
    return folder / "data"


def rates(arms: dict[str, Callable[[], int]]) -> dict[str, dict[str, float]]:
    """Return images a second of each arm: one round that warms up, then `ROUNDS` in turn."""
    found: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(ROUNDS + 1):
        for name, work in arms.items():
            start = time.perf_counter()
            count = work()
            if turn:
                found[name].append(count / (time.perf_counter() - start))
    return {
        name: {"median": float(np.median(each)), "lowest": min(each), "highest": max(each), "n": len(each)}
        for name, each in found.items()
    }


def measure_reading(folder: Path) -> dict[str, Any]:
    source = write_photos(folder / "reading", 320, (400, 300))
    found = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        cut = load(Data(source=str(source), resize=Resize(size=256, crop=224, random=0.08)), LARGE, 0).train
        kept = load(Data(source=str(source), resize=Resize(size=256, crop=224), store="disk"), LARGE, 0).train
        files = PlainFiles(sorted(source.glob("train/*/*.jpg")))
        plain = DataLoader(files, batch_size=64, shuffle=True, num_workers=threads, persistent_workers=True)
        order = torch.arange(len(cut))

        def count(batches: Iterator[Any]) -> int:
            return sum(len(images) for images, _ in batches)

        found[f"threads or processes: {threads}"] = rates(
            {
                "cut at random": lambda cut=cut, order=order: count(cut.batches(order, 64, 1)),
                "DataLoader, cut at random": lambda plain=plain: count(iter(plain)),
                "decoded": lambda kept=kept: count(kept.batches(torch.arange(len(kept)), 64)),
            }
        )
    return found


def measure_training(folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    source = write_photos(folder / "training", 270, (32, 32))
    recipe = Recipe(batch_size=128, warmup_epochs=0, flip=True, crop_padding=4)
    space = spaces.load("resnet")
    genes = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 3), ("w", 8 * 2**i))}

    def network() -> Network:
        return space.network(space.architecture(genes), Task(3, 32, 32, 2))

    def epoch(images: Images) -> Callable[[], int]:
        def work() -> int:
            next(train(network(), images, recipe, epochs=1, seed=0, device=CPU))
            return len(images.train)

        return work

    def only(images: Images) -> Callable[[], int]:
        return lambda: sum(len(x) for x, _ in draw_batches(images.train, images, recipe, numpy_generator(0, "loader")))

    stored = {
        store: load(Data(source=str(source), store=store, validation=0.02), Task(3, 32, 32, 2), 0)
        for store in ("memory", "disk")
    }
    loaders = rates({name: only(images) for name, images in stored.items()})
    arms = {name: epoch(images) for name, images in stored.items()}
    arms["plain loop"] = lambda: plain_epoch(network(), stored["memory"].train, recipe)
    return {"loader alone": loaders, "training": rates(arms)}


def measure_memory(folder: Path, counts: list[int]) -> dict[str, Any]:
    found = {}
    for count in counts:
        place = folder / f"memory-{count}"
        if not (place / "whole").exists():  # what an interrupted measurement in a folder of one's own left
            shutil.rmtree(place, ignore_errors=True)
            write_photos(place, count, (256, 256))
            (place / "whole").touch()
        for role in ROLES:
            if not (place / role).exists():
                subprocess.run([sys.executable, __file__, "--process", role, place], check=True)
        found[str(count)] = {role: int((place / role).read_text()) for role in ROLES}
    return found


def one_process(role: str, place: Path) -> None:
    """Look at the images and load them as a driver, or train and read them as a worker; write the peak in bytes."""
    torch.set_num_threads(1)
    sent, task = place / "images.pickle", Task(3, 256, 256, 2)
    data = Data(source=str(place / "data"), validation=0.02)
    if role == "driver":
        look(data, task)
        images = load(data, task, 0)
        sent.write_bytes(pickle.dumps(images))
    else:
        images = pickle.loads(sent.read_bytes())
        with torch.device("meta"):
            stem = nn.Sequential(nn.Conv2d(3, 32, 8, 8), nn.BatchNorm2d(32), nn.ReLU())
            head = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, 2))
        recipe, network = Recipe(batch_size=64, warmup_epochs=0), Network(stem, head)
        initialise(network, torch_generator(0, "weights"), "kaiming", CPU)
        optimizer = new_optimizer(network, recipe)
        for x, y in islice(draw_batches(images.train, images, recipe, numpy_generator(0, "epoch")), STEPS):
            train_step(network, optimizer, x, y, recipe)
        evaluate(network, images.validation, images)
        for part in (images.train, images.test()):
            for _ in part.batches(torch.randperm(len(part), generator=torch_generator(0, "order")), 64):
                pass
    (place / role).write_text(str(peak("cpu")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--counts", nargs="+", type=int, default=[5_000, 20_000, 50_000], help="images of `memory`")
    parser.add_argument(
        "--folder", type=Path, help="kept folder for generated images, 15 GiB; a temporary one if absent"
    )
    parser.add_argument("--process", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        return one_process(options.process[0], Path(options.process[1]))
    kept = Path(__file__).with_suffix(".json")
    found: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    with TemporaryDirectory() if options.folder is None else nullcontext(options.folder) as name:
        folder = Path(name)
        os.environ["ZENFRONT_CACHE"] = str(folder / "cache")
        for part in options.parts:
            measured = (
                measure_memory(folder, options.counts)
                if part == "memory"
                else {"reading": measure_reading, "training": measure_training}[part](folder)
            )
            found[part] = measured
            kept.write_text(json.dumps(found | {"processors": os.cpu_count()}, indent=1) + "\n")
            print(json.dumps(measured, indent=1), flush=True)
    return None


if __name__ == "__main__":
    main()
