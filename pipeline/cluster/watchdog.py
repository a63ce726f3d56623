"""End a Tune run early: after an error of the driver, or when the cluster has lost its machines."""

import time

from ray import tune

from zenfront.pipeline.cluster.starts import Supervised, WorkerStarts, held_by_others
from zenfront.pipeline.cluster.workers import WorkerPool
from zenfront.pipeline.errors import UserError

BUSY = 10.0
"""Seconds without a worker after which the user learns who holds the resources."""
PERIOD = 1.0
"""Seconds between two checks of the cluster."""


class ClusterWatchdog(tune.Stopper):  # type: ignore[misc]
    """Stop all trials once the driver has an error; a cluster without room for a worker for too long is one.

    Args:
        driver: Receives the messages and the error.
        pool: The workers that the cluster has to have room for.
        patience: Seconds to wait for a machine.
        starts: Tells whether a worker has started.
    """

    def __init__(self, driver: Supervised, pool: WorkerPool, patience: float, starts: WorkerStarts) -> None:
        self._driver, self._pool, self._patience, self._starts = driver, pool, patience, starts
        self._ask_who = time.monotonic() + BUSY
        self._next = 0.0
        self._since: float | None = None

    def __call__(self, trial_id: str, result: object) -> bool:
        """Return False: no trial is stopped alone."""
        return False

    def stop_all(self) -> bool:
        """Return whether all trials have to stop; Tune asks several times a second."""
        now = time.monotonic()
        if now >= self._next and not self._driver.error:
            self._next = now + PERIOD
            self._check_cluster(now)
            self._check_waiting(now)
        return self._driver.error is not None

    def _check_cluster(self, now: float) -> None:
        if self._pool.room:
            self._since = None
        elif self._since is None:
            self._since = now
            self._driver.notify(
                f"the cluster has lost every machine with room for a worker ({self._pool.in_words}): waiting up to "
                f"{self._patience:g} s for one (cluster.patience)"
            )
        elif now - self._since > self._patience:
            self._driver.error = UserError(
                f"cluster: no machine with room for a worker ({self._pool.in_words}) has joined within "
                f"{self._patience:g} s (cluster.patience). The record is kept: run the same command to continue."
            )

    def _check_waiting(self, now: float) -> None:
        """Tell once who holds what the first worker needs."""
        if self._starts.any_started or now < self._ask_who:
            return
        self._ask_who = float("inf")
        total = {name: amount * self._pool.processes for name, amount in self._pool.resources.items()}
        if holders := held_by_others(total):
            self._driver.notify(f"waiting for a worker ({self._pool.in_words}): {holders}")
