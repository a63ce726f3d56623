"""Advise on the memory of a worker, from what candidates take at their peak."""

from collections.abc import Iterable, Mapping
from typing import Any

from zenfront.pipeline.cluster.workers import GIB, WorkerPool, capacity, living_nodes


class MemoryAdvisor:
    """Compare the peak memory of candidates with the share of their worker, and advise once.

    A worker on a GPU enforces its share itself, so no advice is needed there. Nothing enforces the share of a
    machine's memory: it is what the experiment gives a worker, or the smallest equal part of a machine's memory.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._share = pool.memory or _equal_part(pool)
        self._done = bool(pool.gpus)  # then the memory in a row is the GPU's

    def advice(self, rows: Iterable[Mapping[str, Any]]) -> str | None:
        """Return what to set, the first time that a row of the ledger exceeds the share; else None."""
        most = max((row.get("memory") or 0 for row in rows), default=0)
        if self._done or not self._share or most <= self._share:
            return None
        self._done = True
        return (
            f"a candidate took {most / GIB:.2g} GiB, more than the {self._share / GIB:.2g} GiB of its worker: set "
            f"resources.search.memory={1.25 * most / GIB:.2g}, or workers may run out of memory together"
        )


def _equal_part(pool: WorkerPool) -> float:
    """Return the memory in bytes that a worker has on the most crowded machine; 0 if no machine reports its memory."""
    crowds = ((node.get("memory", 0), capacity(node, pool.resources)) for node in living_nodes())
    return min((memory / min(workers, pool.count) for memory, workers in crowds if memory and workers), default=0)
