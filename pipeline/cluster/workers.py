"""Workers that the cluster has room for."""

from dataclasses import dataclass

import ray

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Workers

GIB = 2**30


@dataclass(frozen=True)
class WorkerPool:
    """Workers that the cluster has room for.

    Attributes:
        count: How many at once.
        cpus: Of one: its number of threads.
        gpus: Of one.
        memory: Of one, in bytes of the machine; 0: not counted.
    """

    count: int
    cpus: int
    gpus: float
    memory: int = 0

    @property
    def resources(self) -> dict[str, float]:
        """Of one, by Ray's names."""
        wanted = {"CPU": float(self.cpus), "GPU": self.gpus, "memory": float(self.memory)}
        return {name: amount for name, amount in wanted.items() if amount}


def plan_workers(workers: Workers, stage: str, device: str) -> WorkerPool:
    """As many workers of this kind as the cluster holds at once, at most as many as the experiment wants.

    Where no machine has a GPU and the device is left to us, they do without.

    Raises:
        UserError: The cluster has no room for a single one.
    """
    here = ray.cluster_resources()
    gpus = 0.0 if device == "cpu" or (device == "auto" and not here.get("GPU")) else workers.gpus
    room = int(here.get("CPU", 0) // workers.cpus)
    if gpus:
        room = min(room, int(here.get("GPU", 0) / gpus + 1e-9))
    memory = int((workers.memory or 0) * GIB)
    if memory:
        room = min(room, int(here.get("memory", 0) // memory))
    if room < 1:
        needed, there = "", ""
        if memory:
            needed, there = f" and {workers.memory:g} GiB", f" and {here.get('memory', 0) / GIB:.3g} GiB"
        raise UserError(
            f"resources.{stage}: a worker needs {workers.cpus} CPUs and {gpus:g} GPUs{needed}, "
            f"but the cluster has {here.get('CPU', 0):g} and {here.get('GPU', 0):g}{there}."
        )
    count = room if workers.workers == "auto" else min(workers.workers, room)
    return WorkerPool(count, workers.cpus, gpus, memory)


def show(name: str) -> None:
    """Shows what this worker is doing: in the dashboard's list of a machine's processes, and in `ps`."""
    if ray.is_initialized() and ray.get_runtime_context().get_actor_id():
        ray._raylet.setproctitle(f"ray::{name}")


def lost_machines() -> int:
    """How many machines have left the cluster so far."""
    return sum(not node["Alive"] for node in ray.nodes())
