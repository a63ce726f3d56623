"""Call a function on the head node of a cluster that is reached through Ray's client (``ray://``)."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError, TaskCancelledError

import zenfront
from zenfront.pipeline.cluster import session
from zenfront.pipeline.errors import UserError


def call(address: str, function: Callable[..., None], *arguments: object) -> None:
    """Call a function on the head node, since Tune can drive trials only from a node of the cluster.

    The package `zenfront` is sent along, so that the head node runs the code of this process. What the function
    prints appears here. The call ends when the connection does.

    Args:
        address: ``ray://host:port``.
        function: A function of a module of `zenfront`.
        arguments: Must be picklable.

    Raises:
        UserError: The cluster does not answer, or the function raised it.
        KeyboardInterrupt: This process was interrupted; the function is interrupted as well.
    """
    try:
        ray.init(address, runtime_env=runtime_env(), log_to_driver=True, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise session.unreachable(address, error) from error
    try:
        done = ray.remote(num_cpus=0, max_retries=0)(function).remote(*arguments)
        try:
            ray.get(done)
        except KeyboardInterrupt:
            ray.cancel(done)
            with suppress(RayTaskError, TaskCancelledError):
                ray.get(done)
            raise
    except RayTaskError as error:
        raise (error.cause if isinstance(error.cause, UserError) else error) from None
    finally:
        ray.shutdown()


def runtime_env() -> dict[str, Any]:
    """Return the environment of the call: the package `zenfront`, whose links Ray follows when it packs a folder."""
    return {"py_modules": [str(Path(str(zenfront.__file__)).parent)], "excludes": ["__pycache__"]}
