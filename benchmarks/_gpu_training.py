"""Images per second of the training stage on a GPU, against a plain PyTorch loop."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from zenfront import spaces
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.loop import train
from zenfront.spaces import Network, Space, Task, initialise

RESNET = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 9), ("w", 8 * 2**i))}
REGNET = {"d": 23, "w_0": 96, "w_a": 38.65, "w_m": 2.43, "g": 40, "b": 1, "se": 0.0}
NETWORKS: dict[str, tuple[Space, dict[str, Any], Task, int, int]] = {
    "ResNet-56": (spaces.load("resnet"), RESNET, Task(3, 32, 32, 10), 128, 25_600),
    "RegNetX-4.0GF": (spaces.load("regnet"), REGNET, Task(3, 224, 224, 1000), 64, 1_280),
}
"""Networks with their task, the size of a mini-batch and the number of training images."""


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result and the seconds of a piece of work, which a GPU has finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    value = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return value, time.perf_counter() - start


def random_images(count: int, task: Task, batch: int) -> Images:
    """Training images, and a mini-batch of validation images, of random pixels, as the training stage takes them."""
    generator = torch_generator(0, "images")
    shape = (count + batch, task.channels, task.height, task.width)
    pixels = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    labels = torch.randint(task.out_features, (count + batch,), generator=generator)
    training, validation = ImageSet(pixels[:count], labels[:count]), ImageSet(pixels[count:], labels[count:])
    mean, std = torch.full((3,), 127.5), torch.full((3,), 74.0)
    return Images(training, validation, mean, std, lambda: validation, task.out_features)


def plain_steps(network: Network, images: Images, size: int, precision: str, device: str) -> None:
    """Train for an epoch as in any PyTorch tutorial: SGD with momentum, cross-entropy, images on the device."""
    optimizer = torch.optim.SGD(network.parameters(), 0.1, 0.9, nesterov=True, weight_decay=5e-4)
    pixels, labels = images.train.pixels, images.train.labels
    assert isinstance(pixels, torch.Tensor)
    for first in range(0, len(labels) - size + 1, size):
        x = images.normalise(pixels[first : first + size]).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(network(x), labels[first : first + size])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def training_rates(name: str, precision: str, device: str = "cuda", part: float = 1.0) -> dict[str, float]:
    """Measure images per second, the best of two epochs after one of warm-up, images on the device."""
    space, genes, task, size, count = NETWORKS[name]
    count = max(size, int(part * count))
    architecture = space.architecture(genes)
    images = random_images(count, task, size)
    recipe = Recipe(batch_size=size, warmup_epochs=1, precision=precision)  # type: ignore[arg-type]
    network = space.network(architecture, task)
    epochs = train(network, images, recipe, epochs=3, seed=0, device=torch.device(device))
    ours = min([timed(lambda: next(epochs))[1] for _ in range(3)][1:])
    network = initialise(space.network(architecture, task), torch_generator(0, "plain"), "kaiming", device)
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    there = Images(
        images.train.to(torch.device(device)),
        images.validation,
        images.mean.to(device),
        images.std.to(device),
        images.test,
        images.classes,
    )
    plain = min([timed(lambda: plain_steps(network, there, size, precision, device))[1] for _ in range(3)][1:])
    return {"ours": count / ours, "plain": count / plain, "ratio": plain / ours}
