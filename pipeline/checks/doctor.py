"""Describe a machine: versions, processors, memory, GPUs, their speed, and what an experiment would use of them."""

import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from zenfront.pipeline.checks.estimate import local_workers
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.places import Workers
from zenfront.pipeline.training.store.keeping import describe_stores
from zenfront.pipeline.wording import size

PACKAGES = ("torch", "ray", "optuna", "pymoo", "mlflow", "kornia")
SECONDS = 1.0
"""Seconds of each measurement."""
SHARED = Path("/dev/shm")
"""Folder of shared memory, which holds Ray's object store on Linux."""
SMALL_STORE = 2 * 2**30
"""Bytes of shared memory below which Ray's object store lies on the disk at the sizes that images need."""


def describe_software() -> Iterator[str]:
    """Yield lines with the versions of Zenfront, Python and the libraries."""
    version = importlib.metadata.version
    yield f"zenfront {version('zenfront')}, Python {platform.python_version()}, {platform.platform()}"
    yield ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def describe_machine(runs: Path) -> Iterator[str]:
    """Yield lines on processors, memory and disk.

    Args:
        runs: Folder of the run folders, which need not exist.
    """
    usable = processors()
    counted = f"of {os.cpu_count()} " if usable != os.cpu_count() else ""
    threads = os.environ.get("OMP_NUM_THREADS")
    set_by = f"OMP_NUM_THREADS is {threads}" if threads else "OMP_NUM_THREADS is not set"
    yield f"processors: {usable} {counted}usable, {torch.get_num_threads()} threads in torch ({set_by})"
    total, free = memory()
    yield f"memory: {size(free)} of {size(total)} free" if total else "memory: unknown on this system"
    if SHARED.is_dir():
        shared = shutil.disk_usage(SHARED)
        hint = "; Ray would use the disk for its objects: start the container with --shm-size=8g"
        yield f"shared memory: {size(shared.free)} of {size(shared.total)} free" + hint * (shared.total < SMALL_STORE)
    place = next(folder for folder in (runs.resolve(), *runs.resolve().parents) if folder.is_dir())
    yield f"disk of {runs}: {size(shutil.disk_usage(place).free)} free"
    yield describe_stores()


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> tuple[int, int]:
    """Return the total and the available memory of the machine in bytes; 0, 0 where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0, 0
    found = {name: int(rest.split()[0]) * 1024 for name, rest in (line.split(":", 1) for line in lines)}
    return found["MemTotal"], found["MemAvailable"]


def describe_gpus() -> Iterator[str]:
    """Yield a line for each GPU, or one that says why there is none."""
    if not torch.cuda.is_available():
        yield f"GPU: none, {why_no_gpu()}"
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        bf16 = "with" if torch.cuda.is_bf16_supported() else "without"
        yield (
            f"GPU {index}: {properties.name}, {size(free)} of {size(total)} free, compute capability "
            f"{properties.major}.{properties.minor}, {bf16} bfloat16, CUDA {torch.version.cuda}"
        )


def why_no_gpu() -> str:
    """Return the reason for which torch sees no GPU."""
    if torch.version.cuda is None:
        return f"since torch {torch.__version__} is a build without CUDA (https://pytorch.org has others)"
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return "since CUDA_VISIBLE_DEVICES is empty"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return f"since CUDA does not start: {' '.join(str(error).split())}"
    return "since the driver reports no device"


def measure_devices(seconds: float = SECONDS) -> Iterator[str]:
    """Yield the speed of the CPU with one thread and of each GPU.

    Args:
        seconds: Duration of each of the measurements, of which a device has two or three.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield f"speed of one CPU thread: {_speed(torch.device('cpu'), seconds)}"
    finally:
        torch.set_num_threads(threads)
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        yield f"speed of GPU {index}: {_speed(torch.device('cuda', index), seconds)}"


def _speed(device: torch.device, seconds: float) -> str:
    kinds, side = {"float32": torch.float32}, 512
    if device.type == "cuda":
        side = 8192
        kinds |= {"bfloat16": torch.bfloat16} if torch.cuda.is_bf16_supported() else {}
    products = {name: _matrix_products(device, kind, side, seconds) for name, kind in kinds.items()}
    speeds = [f"{value:,.0f} GFLOP/s {name}" for name, value in products.items()]
    trained = f"{_images(device, seconds):,.0f} images/s in training (32 x 32, 0.04 G multiply-adds)"
    return ", ".join([*speeds, trained])


def _matrix_products(device: torch.device, kind: torch.dtype, side: int, seconds: float) -> float:
    """Return the speed of products of two square matrices, in 1e9 operations per second."""
    a = torch.ones((side, side), dtype=kind, device=device)
    return 2 * side**3 * _repetitions(lambda: torch.mm(a, a), device, seconds) / 1e9


def _images(device: torch.device, seconds: float, batch: int = 64) -> float:
    """Return the images per second of forward and backward passes of a network like ResNet-20."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, device="meta")]
    for _ in range(18):
        layers += [nn.Conv2d(16, 16, 3, padding=1, device="meta"), nn.BatchNorm2d(16, device="meta"), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).to_empty(device=device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as in the training
    for tensor in network.state_dict().values():
        tensor.fill_(0.01)
    images = torch.ones((batch, 3, 32, 32), device=device)
    labels = torch.zeros(batch, dtype=torch.int64, device=device)

    def step() -> None:
        network.zero_grad()
        F.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]

    return batch * _repetitions(step, device, seconds)


def _repetitions(run: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return how often a function runs per second, after one call that warms up."""
    run()
    _wait(device)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds or not count:
        run()
        _wait(device)
        count += 1
    return count / (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def describe_use(experiment: Experiment) -> Iterator[str]:
    """Yield what the stages of an experiment would use of this machine, and why."""
    device, resources = experiment.resources.device, experiment.resources
    for stage, workers in (("search", resources.search), ("train", resources.train)):
        on_gpu = bool(workers.gpus) and device != "cpu" and torch.cuda.is_available()
        yield f"{stage}: {_workers(workers, stage, on_gpu)}, {_place(device, workers, stage)}"


def _workers(workers: Workers, stage: str, on_gpu: bool) -> str:
    together, key = workers.cpus * workers.processes, "cpus" if workers.processes == 1 else "devices"
    if together > processors():
        return f"no worker (resources.{stage}.{key} asks for {together} processors, and here are {processors()})"
    count, reason = local_workers(workers), f"resources.{stage}.workers is {workers.workers}"
    if workers.workers == "auto":
        reason = f"as many as fit, with {together} processor{'' if together == 1 else 's'} each"
    if on_gpu and (room := int(torch.cuda.device_count() / (workers.gpus * workers.processes))) < count:
        count, reason = room, f"the GPUs have room for {room} with resources.{stage}.gpus {workers.gpus:g}"
    devices = f" of {workers.processes} devices" if workers.processes > 1 else ""
    return f"{count} worker{'' if count == 1 else 's'}{devices} ({reason})"


def _place(device: str, workers: Workers, stage: str) -> str:
    if device == "cpu":
        return "networks on the CPU (resources.device is cpu)"
    if not torch.cuda.is_available():
        wrong = "an error, since resources.device is cuda and there is no GPU"
        return wrong if device == "cuda" else "networks on the CPU (there is no GPU)"
    if not workers.gpus:
        return f"networks on the CPU: there is a GPU, but resources.{stage}.gpus is 0"
    return f"networks on the GPU, {workers.gpus:g} of one for each worker (resources.{stage}.gpus)"
