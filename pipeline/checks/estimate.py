"""Estimate of the time and the disk that an experiment takes, from a few candidates that are timed on this machine."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice

import numpy as np
import torch

from zenfront import spaces
from zenfront.pipeline.checks.places import checkpoint_bytes, training_runs
from zenfront.pipeline.device import resolve
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.places import Workers
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.training import data
from zenfront.pipeline.training.loop import batch_size, draw_batches, train_step
from zenfront.pipeline.training.optimisation.optimiser import new_optimizer
from zenfront.pipeline.training.teacher import Lesson, Teacher
from zenfront.pipeline.wording import duration, number, size
from zenfront.spaces import Architecture, initialise

TIMED = 6
"""Candidates that are scored, after one that warms up."""
ENOUGH = 30.0
"""Seconds after which no further candidate is timed."""
STEPS = 2
"""Mini-batches of which the time is taken, after one that warms up."""


def estimate(experiment: Experiment, teacher: Teacher | None = None) -> Iterator[str]:
    """Yield lines for the user: the time of search and training on this machine, and the disk for checkpoints.

    The time of a training is that of runs that are not stopped, so it is an upper bound.

    Args:
        experiment: The experiment.
        teacher: Its teacher, if it has one.

    Raises:
        UserError: The images cannot be read.
    """
    drawn = _feasible(experiment)
    resources, search, train = experiment.resources, experiment.search, experiment.train
    torch.set_num_threads(resources.search.cpus)
    each = _seconds_a_candidate(experiment, drawn)
    workers = local_workers(resources.search)
    yield (
        f"search: about {duration(search.evaluations * each / workers)} for {number(search.evaluations)} "
        f"architectures, {each:.2g} s each with {workers} worker{'' if workers == 1 else 's'} here"
    )
    yield f"checkpoints: about {size(checkpoint_bytes(experiment))}"
    if train.function:
        yield "training: not estimated, since the function is your own"
        return
    torch.set_num_threads(resources.train.cpus)
    epoch = _seconds_an_epoch(experiment, drawn, teacher)
    runs, workers = training_runs(experiment), local_workers(resources.train)
    total = epoch * train.epochs * runs / min(workers, runs)
    devices = ", or that several devices share," if resources.train.devices > 1 else ""
    yield (
        f"training: at most {duration(total)} for {runs} runs of {train.epochs} epochs, {epoch:.2g} s an epoch with "
        f"{workers} worker{'' if workers == 1 else 's'} here; runs that the scheduler stops{devices} take less"
    )


def local_workers(asked: Workers) -> int:
    """Return the number of workers for which this machine has processors, at most as many as are asked for."""
    fit = max(1, (os.cpu_count() or 1) // (asked.cpus * asked.processes))
    return fit if asked.workers == "auto" else min(asked.workers, fit)


def _feasible(experiment: Experiment) -> list[Architecture]:
    space = spaces.load(experiment.space, experiment.code)
    generator = numpy_generator(experiment.search.seed, "checks", "time")
    drawn = (space.sample(generator) for _ in range(100 * TIMED))
    allowed = (architecture for architecture in drawn if space.violation(architecture, experiment.task) is None)
    return [architecture for architecture, _ in zip(allowed, range(TIMED + 1), strict=False)]


def _seconds_a_candidate(experiment: Experiment, drawn: list[Architecture]) -> float:
    """Return the mean time of a candidate's scores in seconds, without those that are predicted."""
    scoring = Scoring.of(experiment)
    names = [name for name in scoring.names if name not in scoring.modelled]
    scoring = replace(scoring, device=resolve(scoring.device), names=names)
    taken: list[float] = []
    for architecture in drawn:
        start = time.perf_counter()
        scoring.score(architecture)
        taken.append(time.perf_counter() - start)
        if sum(taken) > ENOUGH and len(taken) > 1:
            break
    return float(np.mean(taken[1:] or taken))


def _seconds_an_epoch(experiment: Experiment, drawn: list[Architecture], teacher: Teacher | None) -> float:
    """Return the mean time of an epoch in seconds, from a few mini-batches, with augmentation and teacher."""
    task, train = experiment.task, experiment.train
    images = data.load(train.data, task, experiment.search.seed)
    device = torch.device(resolve(experiment.resources.device))
    part, lesson = images.train.to(device), Lesson(teacher, images, device) if teacher else None
    generator, taken = numpy_generator(0, "estimate"), list[float]()
    for architecture in drawn[:3]:
        network = spaces.load(experiment.space, experiment.code).network(architecture, task)
        initialise(network, torch_generator(0, "estimate"), "kaiming", device).train()
        optimizer = new_optimizer(network, train.recipe)
        epochs = (draw_batches(part, images, train.recipe, generator) for _ in range(STEPS + 1))
        start = time.perf_counter()
        for x, y in islice(chain.from_iterable(epochs), STEPS + 1):
            step = train_step(network, optimizer, x, y, train.recipe, generator=generator, lesson=lesson)
            step.item()  # waits for the GPU
            taken.append(time.perf_counter() - start)
            start = time.perf_counter()
        del taken[-STEPS - 1]
    return float(np.mean(taken)) * (len(images.train) // batch_size(train.recipe, images))
