"""Plan the workers of a stage from the machines of the cluster."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import ray

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.places import Workers

GIB = 2**30
_NAMES = {"CPU": "CPU", "GPU": "GPU", "memory": "GiB of memory"}
DEVICE = "device:"
"""Beginning of the name of the Ray resource of a device."""
_KINDS = 3
"""Kinds of machines that an error lists."""
ROUNDING = 1e-6
"""Added before 1 / share is rounded down, as 1 / (1.1 - 1) is less than 10. Ray rounds shares to 1e-4."""


@dataclass(frozen=True)
class WorkerPool:
    """Workers that run at the same time.

    Attributes:
        count: Number of workers.
        cpus: CPUs of one worker, which is also its number of threads.
        gpus: GPUs of one worker; workers with less than one share a GPU.
        memory: Memory of one worker in bytes; 0 if memory is not counted.
        devices: Devices that a worker measures on; each is one worker's at a time.
        processes: Processes of a worker; the other numbers are those of one of them.
    """

    count: int
    cpus: int
    gpus: float
    memory: int = 0
    devices: Sequence[str] = ()
    processes: int = 1

    @property
    def resources(self) -> dict[str, float]:
        """Return the resources of one process by Ray's names, without those that it does not need."""
        wanted = {"CPU": float(self.cpus), "GPU": self.gpus, "memory": float(self.memory)}
        wanted |= device_resources(self.devices)
        return {name: amount for name, amount in wanted.items() if amount}

    @property
    def room(self) -> int:
        """Number of workers that the living machines hold at the same time; its processes may be on several ones."""
        return sum(capacity(node, self.resources) for node in living_nodes()) // self.processes

    @property
    def in_words(self) -> str:
        """Needs of a worker in words, such as ``2 CPUs and 1 GPU``."""
        if self.processes == 1:
            return describe(self.resources)
        return f"{self.processes} devices with {describe(self.resources)} each"


def device_resources(devices: Sequence[str]) -> dict[str, float]:
    """Return what holds devices alone, by the names of Ray's resources; the machine that has a device declares it."""
    return {f"{DEVICE}{device}": 1.0 for device in devices}


def plan_workers(
    workers: Workers, stage: str, device: str, devices: Sequence[str] = (), processes: int = 1
) -> WorkerPool:
    """Return the pool of a stage: as many workers as fit on the cluster, at most as many as the experiment wants.

    If no machine has a GPU and the device is ``auto``, the workers get none.

    Args:
        workers: The resources that the experiment gives a worker.
        stage: ``search`` or ``train``, for the error.
        device: ``auto``, ``cpu`` or ``cuda``.
        devices: Devices that a worker measures on.
        processes: Processes of a worker, with the resources of `workers` each.

    Raises:
        UserError: No machine declares the devices; no machine of the cluster is large enough for one worker.
    """
    any_gpu = has_gpu()
    if device == "cuda" and not workers.gpus and not any_gpu:
        raise UserError(
            f"resources.device: cuda needs a GPU, but the cluster has {_machines({'CPU': 1.0, 'GPU': 1.0})}. "
            "Add a machine with a GPU, or let resources.device be auto to use the CPU."
        )
    gpus = workers.gpus if device == "cuda" or (device == "auto" and any_gpu) else 0.0
    one = WorkerPool(1, workers.cpus, gpus, int((workers.memory or 0) * GIB), devices, processes)
    _require_devices(devices)
    fit = one.room
    if fit < 1 and processes > 1:
        raise UserError(
            f"resources.{stage}.devices: a training needs {one.in_words}, but the cluster has "
            f"{_machines(one.resources)}. Ask for fewer devices, or add machines."
        )
    if fit < 1:
        raise UserError(
            f"resources.{stage}: a worker needs {describe(one.resources)} on one machine, but the cluster has "
            f"{_machines(one.resources)}. Ask for less in resources.{stage}, or add a machine that is large enough."
        )
    return replace(one, count=fit if workers.workers == "auto" else min(workers.workers, fit))


def _require_devices(devices: Sequence[str]) -> None:
    """Check that one machine declares the devices that a worker measures on.

    Raises:
        UserError: None does.
    """
    wanted = device_resources(devices)
    if wanted and not any(
        all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in living_nodes()
    ):
        declared = json.dumps(dict.fromkeys(wanted, 1))
        raise UserError(
            f"the experiment measures on {' and '.join(devices)}, which no machine of the cluster declares. Start Ray "
            f"on the machine that reaches it with `ray start --resources='{declared}'` beside its other options."
        )


def has_gpu() -> bool:
    """Return whether a machine of the cluster has a GPU."""
    return any(node.get("GPU") for node in living_nodes())


def missing_gpus(workers: Workers, stage: str) -> str | None:
    """Return a line for the user if GPUs were asked for and no machine has one; then the networks are on the CPU."""
    if not workers.gpus or has_gpu():
        return None
    return (
        f"resources.{stage}.gpus asks for {workers.gpus:g} a worker, but no machine has a GPU: networks are on the CPU"
    )


def living_nodes() -> list[dict[str, float]]:
    """Return the resources of each machine that is alive, by Ray's names; memory in bytes."""
    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def capacity(node: Mapping[str, float], wanted: Mapping[str, float]) -> int:
    """Return how many workers one machine holds: none spans two machines, and a fraction of a GPU no two GPUs."""
    fit = min(int(node.get(name, 0) // amount) for name, amount in wanted.items() if name != "GPU")
    whole, share = divmod(wanted.get("GPU", 0), 1)
    sharing = int(1 / share + ROUNDING) if share else 1
    gpus = node.get("GPU", 0)
    return max(k for k in range(fit + 1) if k * whole + (math.ceil(k / sharing) if share else 0) <= gpus)


def describe(resources: Mapping[str, float]) -> str:
    """Return resources in words, such as ``2 CPUs and 0.5 GPUs``."""
    named = [name for name in resources if name in _NAMES or name.startswith(DEVICE)]
    *first, last = (_amount(name, resources[name]) for name in named)
    return f"{', '.join(first)} and {last}" if first else last


def _amount(name: str, amount: float) -> str:
    if name.startswith(DEVICE):
        return f"the device {name.removeprefix(DEVICE)}" if amount else f"no {name.removeprefix(DEVICE)}"
    if name == "memory":
        return f"{amount / GIB:.3g} {_NAMES[name]}"
    return f"{amount:g} {_NAMES[name]}{'' if amount == 1 else 's'}"


def _machines(wanted: Mapping[str, float]) -> str:
    """Return the living machines in words, largest first, each with what it has of the resources that are wanted."""
    sizes = Counter(tuple(node.get(name, 0.0) for name in wanted) for node in living_nodes())
    kinds = [
        f"{count} machine{'' if count == 1 else 's'} with {describe(dict(zip(wanted, size, strict=True)))}"
        for size, count in sorted(sizes.items(), reverse=True)
    ]
    return "; ".join([*kinds[:_KINDS], *(["..."] if kinds[_KINDS:] else [])]) or "no machine"


def show(name: str) -> None:
    """Name this worker's process after its work, for the dashboard's list of processes and for `ps`."""
    if ray.is_initialized() and ray.get_runtime_context().get_actor_id():
        ray._raylet.setproctitle(f"ray::{name}")


def lost_machines() -> int:
    """Return how many machines have left the cluster so far."""
    return sum(not node["Alive"] for node in ray.nodes())
