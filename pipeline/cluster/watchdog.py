"""What ends a Tune run before its time: an error of the driver, or a cluster that has lost its machines."""

import time
from typing import Protocol

import ray
from ray import tune

from zenfront.pipeline.cluster.workers import WorkerPool
from zenfront.pipeline.errors import UserError

PERIOD = 1.0
"""Seconds between two looks at the cluster."""


class Supervised(Protocol):
    """What drives a Tune run; an error is raised again when Tune has ended, as Tune would swallow it."""

    error: Exception | None

    def notify(self, text: str) -> None:
        """Tells the user."""


class ClusterWatchdog(tune.Stopper):  # type: ignore[misc]
    """Ends everything as soon as the driver has met an error; one is that no machine has come for too long.

    Args:
        driver: Is told.
        pool: A cluster without room for one of these workers is waited for.
        patience: Seconds.
    """

    def __init__(self, driver: Supervised, pool: WorkerPool, patience: float) -> None:
        self._driver, self._pool, self._patience = driver, pool, patience
        self._next = 0.0
        self._since: float | None = None

    def __call__(self, trial_id: str, result: object) -> bool:
        """No trial is stopped alone."""
        return False

    def stop_all(self) -> bool:
        """Whether everything is to end; asked by Tune several times a second."""
        now = time.monotonic()
        if now >= self._next and not self._driver.error:
            self._next = now + PERIOD
            self._look(now)
        return self._driver.error is not None

    def _look(self, now: float) -> None:
        here, pool = ray.cluster_resources(), self._pool
        if here.get("CPU", 0) >= pool.cpus and here.get("GPU", 0) >= pool.gpus:
            self._since = None
        elif self._since is None:
            self._since = now
            self._driver.notify(
                f"the cluster has no machine left for a worker of {pool.cpus} CPUs and {pool.gpus:g} GPUs: waiting for "
                f"one to come, at most {self._patience:g} s (cluster.patience)"
            )
        elif now - self._since > self._patience:
            self._driver.error = UserError(
                f"cluster: no machine for a worker of {pool.cpus} CPUs and {pool.gpus:g} GPUs has come for "
                f"{self._patience:g} s (cluster.patience). The record is kept: run the same command to go on."
            )
