"""Whether candidates take more memory than their worker's share of a machine."""

from collections.abc import Iterable, Mapping
from typing import Any

import ray

from zenfront.pipeline.cluster.workers import GIB, WorkerPool


class MemoryAdvisor:
    """Compares what candidates take at their peak with the share of their worker, and says so once.

    On a GPU the share is enforced by the worker itself. A machine's memory is not: there the share is what the
    experiment gives a worker, or what there would be if all workers took the same.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._share = pool.memory or ray.cluster_resources().get("memory", 0) / pool.count
        self._told = bool(pool.gpus)  # then a row's memory is the device's

    def advice(self, rows: Iterable[Mapping[str, Any]]) -> str | None:
        """What to set, the first time that a row of the ledger shows more than the share; else None."""
        most = max((row.get("memory") or 0 for row in rows), default=0)
        if self._told or not self._share or most <= self._share:
            return None
        self._told = True
        return (
            f"a candidate took {most / GIB:.2g} GiB, more than the {self._share / GIB:.2g} GiB of its worker: set "
            f"resources.search.memory={1.25 * most / GIB:.2g}, or workers may run out of memory together"
        )
