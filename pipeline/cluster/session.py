"""Start Ray, or connect to a cluster, and require the same code on all its machines."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._private.node import Node
from ray._private.utils import read_ray_address
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from zenfront.pipeline import proxies
from zenfront.pipeline.cluster import head_watch, leftovers
from zenfront.pipeline.cluster.workers import device_resources
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.proxies._devices import devices_of
from zenfront.pipeline.record.provenance import source_digest
from zenfront.pipeline.user_code import UserCode

START = 60.0
"""Seconds to wait for a machine of the cluster to start a worker."""


@contextmanager
def cluster(experiment: Experiment) -> Iterator[None]:
    """Connect to the experiment's cluster, or start Ray on this machine, for the time of a block.

    A Ray that is initialised already is used and left running.

    Raises:
        UserError: The cluster does not answer.
    """
    if ray.is_initialized():
        yield
        return
    leftovers.remove_leftovers()
    address = experiment.cluster.address
    with _connected(address, experiment.own_code()) if address else _own_ray(declared_devices(experiment)):
        yield


@contextmanager
def _connected(address: str, own: Sequence[UserCode]) -> Iterator[None]:
    # A head node on 127.0.0.1 (`just dashboard`): Ray would look for it at an address that other machines reach.
    here = address == "auto" and "RAY_ADDRESS" not in os.environ and (read_ray_address() or "").startswith("127.0.0.1:")
    with _kept_to_this_machine() if here else nullcontext():
        _init(address)
    try:
        _require_same_code(own)
        yield
    finally:
        ray.shutdown()


@contextmanager
def _own_ray(devices: Mapping[str, float]) -> Iterator[None]:
    """Start Ray on this machine; nothing of it listens or connects beyond 127.0.0.1.

    Args:
        devices: Resources that hold the devices which the scores are measured on.
    """
    with leftovers.temporary_folder() as folder:
        with _kept_to_this_machine():
            _init(None, resources=devices)
        try:
            leftovers.record_session(folder, Path(ray._private.worker._global_node.get_session_dir_path()))
            with head_watch.ending_with_ray():
                yield
        finally:
            ray.shutdown()


def declared_devices(experiment: Experiment) -> dict[str, float]:
    """Return the resources that hold the devices which the scores are measured on."""
    loaded = [proxies.load(name, experiment.code) for name in experiment.score_names()]
    return device_resources(devices_of(loaded, experiment.proxies))


def _init(address: str | None, **settings: Any) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
            **settings,
        )
    except Exception as error:  # a bare Exception on an overloaded machine: "The current node timed out"
        raise unreachable(address, error) from error
    except SystemExit as end:  # raised by the SIGTERM handler that ray.init installs in place of ours
        raise KeyboardInterrupt from end
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


@contextmanager
def _kept_to_this_machine() -> Iterator[None]:
    """Let a Ray that is started or reached in the block use 127.0.0.1 alone.

    Ray's argument ``_node_ip_address`` is no way: Ray replaces 127.0.0.1 by an address that other machines reach. This
    setting makes it do what it does on macOS. It counts in this process if it is changed in the module, and in
    Ray's processes if it is in the environment. Without a dashboard, Ray's dashboard process does nothing but ask
    169.254.169.254 and the name server which cloud this is, whatever RAY_USAGE_STATS_ENABLED says.
    """
    name, allowed, start = (
        ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR,
        ray_constants.ENABLE_RAY_CLUSTER,
        Node.start_api_server,
    )
    before = os.environ.get(name)
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    Node.start_api_server = lambda node, **settings: None
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER, Node.start_api_server = allowed, start
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def unreachable(address: str | None, error: Exception) -> UserError:
    """Return the error for a failure of `ray.init`.

    Args:
        address: Address of the cluster; None for Ray on this machine.
        error: The exception that `ray.init` raised.
    """
    if "AF_UNIX" in str(error):
        return UserError(
            f"Ray did not start on this machine: the path of its temporary folder is too long for a socket ({error}). "
            "Set RAY_TMPDIR to a short path, such as /tmp, or unset it."
        )
    if address is None:
        return UserError(f"Ray did not start on this machine ({error}). It may be overloaded: try again.")
    hint = "" if "RAY_AUTH_MODE" in os.environ else " If it requires a token: export RAY_AUTH_MODE=token."
    return UserError(f"cluster.address: no Ray cluster answers at {address!r} ({error}).{hint}")


def _require_same_code(own: Sequence[UserCode] = ()) -> None:
    """Require the code of this process on every machine: the result must not depend on which machine did what.

    Args:
        own: Code of the experiment, which every machine must be able to load.

    Raises:
        UserError: A machine has different code, or none, or cannot load that of the experiment.
    """
    here = source_digest()
    ask = ray.remote(num_cpus=0)(_load_code)
    machines = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    there = {node: NodeAffinitySchedulingStrategy(node, soft=False) for node in machines}
    asked = {node: ask.options(scheduling_strategy=place).remote(own) for node, place in there.items()}
    for node, answer in asked.items():
        try:
            problem = None if ray.get(answer, timeout=START) == here else "it has different code"
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise UserError(
                    f"cluster: {machines[node]} cannot run code of the experiment: {error.cause}"
                ) from error
            problem = f"it has none: {error.cause}"
        except (ray.exceptions.RayError, TimeoutError):
            continue  # the machine is leaving, or busy
        if problem:
            raise UserError(
                f"cluster: {machines[node]} does not run this version of Zenfront ({problem}). Install the same one on "
                "all machines, or submit the work with Ray's `--working-dir`."
            )


def _load_code(own: Sequence[UserCode]) -> str:
    """Load the experiment's code on this machine; return the digest of Zenfront's."""
    for code in own:
        code.load()
    return source_digest()
