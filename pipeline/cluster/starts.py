"""Workers that fail to start, and resources that other jobs hold: without a word, a run would stand still."""

import re
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import ray

from zenfront.pipeline.cluster.workers import describe
from zenfront.pipeline.errors import UserError

CREATION = "creation task"
"""Ray's words for the start of a worker, in the error of one that did not start."""
ENOUGH = 2
"""Failures to start for the same reason after which the user is warned."""


class Supervised(Protocol):
    """The driver of a Tune run. Tune would swallow an error, so the driver keeps it and raises it after the run."""

    error: Exception | None

    def notify(self, text: str) -> None:
        """Show a message to the user."""


class WorkerStarts:
    """Counts workers that fail to start; ends the run if two fail for one reason while none starts.

    Args:
        driver: Receives the message or the error.
    """

    def __init__(self, driver: Supervised) -> None:
        self._driver = driver
        self._reasons: Counter[str] = Counter()
        self._trials: set[str] = set()
        self.any_started = False

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Tune pickles what it is given, and nothing reads the copies."""
        return {}

    def failed(self, trial: Any) -> None:
        """Take note of a failed trial, which may have failed because its worker did not start."""
        if (found := start_failure(_error_text(trial))) is None:
            return
        reason, machine = found
        self._trials.add(trial.trial_id)
        self._reasons[reason] += 1
        if self._reasons[reason] == ENOUGH:
            message = f"a worker does not start on {machine}: {reason}. {_remedy(reason)}"
            if self.any_started:
                self._driver.notify(f"{message} Others have started and go on.")
            else:
                self._driver.error = UserError(f"cluster: {message}")

    def was_one(self, trial_id: str) -> bool:
        """Return whether a trial failed because its worker did not start; its work is not to blame."""
        return trial_id in self._trials


def start_failure(text: str) -> tuple[str, str] | None:
    """Return the last line of the exception of a worker that did not start, and its machine; None for other errors."""
    if CREATION not in text:
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    address = re.search(r"ip=([\w.:-]+)", text)
    return lines[-1].rstrip("."), _hostname(address[1]) if address else "a machine"


def held_by_others(wanted: dict[str, float]) -> str | None:
    """Return who holds the resources that a worker needs, in words; None if there are enough free ones."""
    free, total = ray.available_resources(), ray.cluster_resources()
    scarce = [name for name, amount in wanted.items() if free.get(name, 0) < amount]
    if not scarce:
        return None
    mine = ray.get_runtime_context().get_job_id()
    groups = [group for group in ray.util.placement_group_table().values() if group["state"] == "CREATED"]
    if any(group["placement_group_id"].endswith(mine) for group in groups):
        return None  # a worker has its resources, and starts
    held: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for group in groups:
        for bundle in group["bundles"].values():
            for name, amount in bundle.items():
                held[group["placement_group_id"][-8:]][name] += amount
    jobs = {job["JobID"]: job for job in ray._private.state.jobs()}
    holders = [f"{_job(jobs.get(job, {}), job)} holds {_shown(amounts)}" for job, amounts in held.items()]
    amounts = {name: total.get(name, 0) - free.get(name, 0) for name in scarce}
    return f"{_shown(amounts)} of {_shown({name: total.get(name, 0) for name in scarce})} are held; " + (
        "; ".join(holders) or "Ray does not say by whom (`ray status -v` shows it)"
    )


def _shown(amounts: dict[str, float]) -> str:
    return describe({name: amount for name, amount in amounts.items() if name in ("CPU", "GPU", "memory")})


def _job(job: dict[str, Any], name: str) -> str:
    entry = job.get("Entrypoint") or "a process"
    where = f"process {job['DriverPid']} on {_hostname(job['DriverIPAddress'])}" if "DriverPid" in job else ""
    return f"job {name} ({', '.join(filter(None, [str(entry)[:80], where]))})"


def _hostname(address: str) -> str:
    names = {node["NodeManagerAddress"]: node["NodeManagerHostname"] for node in ray.nodes()}
    return str(names.get(address, address))


def _error_text(trial: Any) -> str:
    with suppress(OSError):
        return Path(trial.error_file).read_text(encoding="utf-8", errors="replace") if trial.error_file else ""
    return ""


def _remedy(reason: str) -> str:
    if "No module named" in reason or "ModuleNotFoundError" in reason or "ImportError" in reason:
        return "Install the package on all machines, or submit the work with Ray's `--working-dir`."
    return "Put that right on that machine, and run the same command again."
