"""The one place that starts Ray and builds a Tuner. Tune executes; it never remembers."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.provenance import source_digest

START = 60.0
"""Seconds that a machine of a cluster has to start a worker."""


@contextmanager
def cluster(experiment: Experiment) -> Iterator[None]:
    """Ray, for the time of a block: the cluster of the experiment, or one on this machine; a running one is kept.

    Raises:
        UserError: The cluster does not answer.
    """
    if ray.is_initialized():
        yield
        return
    address = experiment.cluster.address
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
        )
    except Exception as error:  # an overloaded machine gets a bare Exception: "the current node timed out"
        raise unreachable(address, error) from error
    except SystemExit as end:  # ray.init puts a handler of its own in place of ours, which raises this
        raise KeyboardInterrupt from end
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
    try:
        if address:
            _require_same_code()
        yield
    finally:
        ray.shutdown()


def unreachable(address: str | None, error: Exception) -> UserError:
    """What the user is told when `ray.init` fails."""
    if address is None:
        return UserError(f"Ray did not start on this machine ({error}). Is it overloaded? Try again.")
    hint = "" if "RAY_AUTH_MODE" in os.environ else " If it asks for a token: export RAY_AUTH_MODE=token."
    return UserError(f"cluster.address: no Ray cluster answers at {address!r} ({error}).{hint}")


def _require_same_code() -> None:
    """Every machine of a cluster runs the code of this process, or the result would depend on who did what.

    Raises:
        UserError: A machine has other code, or none.
    """
    here = source_digest()
    ask = ray.remote(num_cpus=0)(source_digest)
    machines = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    there = {node: NodeAffinitySchedulingStrategy(node, soft=False) for node in machines}
    asked = {node: ask.options(scheduling_strategy=place).remote() for node, place in there.items()}
    for node, answer in asked.items():
        try:
            problem = None if ray.get(answer, timeout=START) == here else "it has other code"
        except ray.exceptions.RayTaskError as error:
            problem = f"it has none: {error.cause}"
        except (ray.exceptions.RayError, TimeoutError):
            continue  # a machine that is going away, or one that is busy
        if problem:
            raise UserError(
                f"cluster: {machines[node]} does not run this version of Zenfront ({problem}). Install the same one on "
                "all machines, or submit the work with Ray's `--working-dir`."
            )
