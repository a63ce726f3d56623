"""The one place that starts Ray and builds a Tuner. Tune executes; it never remembers."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

os.environ |= {
    "RAY_AIR_NEW_OUTPUT": "0",  # with verbose=0 the only silent combination
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard files beside our record
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the stages say what failed, in one line
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # its own would wait for the steps in flight, however long they take
    "TUNE_FORCE_TRIAL_CLEANUP_S": "1",  # nor is a worker that hangs waited for when an error has ended the work
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # no snapshots of a state that is never restored
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.config import Experiment, Workers
from pipeline.errors import UserError
from pipeline.origin import source_digest

logging.getLogger("ray.tune").setLevel(logging.ERROR)  # inside a job nobody else says so
logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # the stages say what was interrupted or failed


START = 60.0
"""Seconds that a machine of a cluster has to start a worker."""
GIB = 2**30


class Fleeting:
    """Pickled as an empty shell: Tune writes copies of what drives it, which are never read."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class ForgetfulSearcher(Searcher):  # type: ignore[misc]
    """A searcher of which Tune saves nothing: it executes; it never remembers."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class Scheduler(FIFOScheduler):  # type: ignore[misc]
    """First in, first out; and lets go of the workers of an interrupted run, for a Ray that outlives it."""

    _controller: Any = None

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Called by Tune before anything is done about a trial."""
        self._controller = tune_controller

    def release(self) -> None:
        """Ends workers in the middle of their step, and gives their resources back."""
        if self._controller:
            self._controller._actor_manager.cleanup()  # the controller's own waits for the steps first


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


@dataclass(frozen=True)
class Crew:
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


def crew(workers: Workers, stage: str, device: str) -> Crew:
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
    return Crew(count, workers.cpus, gpus, memory)


def show(name: str) -> None:
    """Shows what this worker is doing: in the dashboard's list of a machine's processes, and in `ps`."""
    if ray.is_initialized() and ray.get_runtime_context().get_actor_id():
        ray._raylet.setproctitle(f"ray::{name}")


def lost_machines() -> int:
    """How many machines have left the cluster so far."""
    return sum(not node["Alive"] for node in ray.nodes())


def run_tune(
    trainable: type[tune.Trainable],
    *,
    crew: Crew,
    searcher: Searcher,
    callback: tune.Callback,
    stopper: tune.Stopper,
    scheduler: Scheduler,
    constants: Mapping[str, Any],
) -> None:
    """Runs trials until the searcher has no more, on reused workers, in silence; the files of Tune are thrown away.

    Args:
        trainable: A class with `reset_config`; its `setup` gets the constants as keyword arguments.
        crew: How many trials at once, on what.
        searcher: Suggests trials; their configuration may hold ``name``, which the dashboard shows.
        callback: Told of every result; must not raise.
        stopper: Ends everything at once.
        scheduler: Decides on running trials.
        constants: Sent to every worker once.
    """
    with TemporaryDirectory(prefix="zenfront-") as unread:
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(trainable, **constants), crew.resources),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,
                max_concurrent_trials=crew.count,
                reuse_actors=True,
                trial_name_creator=_trial_name,
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=unread,
                callbacks=[callback],
                stop=stopper,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            tuner.fit()
        except KeyboardInterrupt:
            scheduler.release()
            raise


def _trial_name(trial: Any) -> str:
    return str(trial.config.get("name", trial.trial_id))
